"""Track GPUs on which vLLM could not serve the model in this create, and leave them out of the search.

The market sells cards of different memory under one name (A100 SXM4: 40 and 80 GB). So a too small GPU leaves out the
cards of its name with no more memory. A too old GPU leaves out its whole name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.errors import EngineRefused, GpuUnfit
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.search import query
from providers.vast.search.requirements import Requirements
from providers.vast.search.why_not import NoMatchingOffer


@dataclass
class UnfitGpus:
    """The requested `names` in the market's spelling, and our findings about them."""

    names: tuple[str, ...]
    _too_old: set[str] = field(default_factory=set)
    _too_small: dict[str, float] = field(default_factory=dict)  # MB

    def add(self, rented: Offer | Instance | None, error: GpuUnfit) -> None:
        """Leave out all GPUs that would fail like this one. Does nothing if the market did not name the GPU."""
        if rented is None or rented.gpu_name is None:
            return
        if error.too_small and rented.gpu_ram:
            known = self._too_small.get(rented.gpu_name, 0)
            self._too_small[rented.gpu_name] = max(known, rented.gpu_ram)
        else:
            self._too_old.add(rented.gpu_name)

    @property
    def left(self) -> tuple[str, ...]:
        """The names that may still serve the model, some only with more memory."""
        return tuple(name for name in self.names if name not in self._too_old)

    def narrow(self, requirements: Requirements) -> Requirements:
        """Return the requirements without the unfit GPUs."""
        return replace(requirements, gpu_names=self.left, too_small=dict(self._too_small))

    def following(self) -> str:
        """Return the next step in words."""
        ways = [f"{name} with more memory" if name in self._too_small else name for name in self.left]
        return f"trying {' or '.join(ways)}" if ways else "gpu.name names no other GPU"

    @contextmanager
    def explaining(self, name: str) -> Iterator[None]:
        """Turn NoMatchingOffer in the block into EngineRefused if GPUs of every name were tried and found unfit."""
        try:
            yield
        except NoMatchingOffer as error:
            if all(one in self._too_old or one in self._too_small for one in self.names):
                raise self.refused(name, [str(error)]) from error
            raise

    def refused(self, name: str, attempts: Sequence[str]) -> EngineRefused:
        """Return the error of a create that has no GPU left to try. `attempts` lists them, one line each."""
        return EngineRefused(
            "\n".join(
                [
                    f"{name}: vLLM cannot serve this on {' or '.join(self.names)}. Nothing stays rented.",
                    *attempts,
                    "Name a larger or newer GPU in gpu.name (a list is fine), or let vLLM need less: a shorter",
                    "--max-model-len, --kv-cache-dtype fp8, --dtype half, or more GPUs with gpu.count. Then run `pulumi up`.",
                ]
            )
        )


def queries(requirements: Requirements) -> list[dict[str, Any]]:
    """Return the searches to run: one, and one more for each name that now needs more memory.

    The market lists 64 rows a search, cheapest first. Without a bound of their own the small cards would fill them.
    """
    small = [name for name in requirements.gpu_names if name in requirements.too_small]
    others = tuple(name for name in requirements.gpu_names if name not in requirements.too_small)
    found = [query.query(replace(requirements, gpu_names=others))] if others or not small else []
    for name in small:
        least = max(requirements.gpu_ram_mb, requirements.too_small[name] + 1)
        found.append(query.query(replace(requirements, gpu_names=(name,), gpu_ram_mb=least)))
    return found
