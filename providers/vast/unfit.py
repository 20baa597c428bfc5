"""Models of GPU on which vLLM cannot serve what is asked for, found in one create: left out while others are named."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bootstrap.errors import EngineRefused


@dataclass
class UnfitGpus:
    """The wished `names`, and which of them were found unfit, in whatever spelling."""

    names: tuple[str, ...]
    _unfit: set[str] = field(default_factory=set)

    def add(self, name: str | None) -> None:
        """Leave out the GPUs of this name; None, where the market did not say, leaves out nothing."""
        self._unfit.add(_plain(name or ""))

    @property
    def left(self) -> tuple[str, ...]:
        """The names that may still do."""
        return tuple(name for name in self.names if _plain(name) not in self._unfit)

    def following(self) -> str:
        """Say what is done next."""
        return f"trying {' or '.join(self.left)}" if self.left else "gpu.name names no other GPU"

    def refused(self, name: str, told: Sequence[str]) -> EngineRefused:
        """Return the error of a create for which no GPU is left. `told`: what was tried, a line each."""
        return EngineRefused(
            "\n".join(
                [
                    f"{name}: vLLM cannot serve this on {' or '.join(self.names)}. Nothing stays rented.",
                    *told,
                    "Name a larger or newer GPU in gpu.name (a list is fine), or let vLLM need less: a shorter",
                    "--max-model-len, --kv-cache-dtype fp8, --dtype half, or more GPUs with gpu.count. Then run `pulumi up`.",
                ]
            )
        )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
