"""Whether a model fits a GPU, pure: what vLLM needs of each GPU's memory, and which arguments would make it need less.

    a GPU's memory x gpu-memory-utilization >= weights / GPUs + KV cache of one request of full length / GPUs + the rest

vLLM refuses to start where the cache does not hold one request of `--max-model-len`. The rest (CUDA context, graphs,
activations) is an estimate: 1.5 to 2.5 GiB were reported for models of 7 to 70 billion parameters. What is computed here is
a lower bound with that in it; what a machine really has left only vLLM itself finds out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bootstrap.about import About

MIB, GIB = 2**20, 2**30
REST_BYTES = 2 * GIB
UTILIZATION = 0.9  # vLLM's default
SHORTEST_CONTEXT = 1024  # below it nobody wants to be served
BYTES = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
DTYPES = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2}
UNITS = {"k": 1000, "m": 1_000_000, "K": 1024, "M": 1024**2}


@dataclass(frozen=True)
class Order:
    """What vLLM's arguments say about memory. `context` is None where vLLM fits it to the memory itself."""

    context: int | None
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    utilization: float = UTILIZATION
    cache_bytes: int = 2  # a number of the KV cache
    weight_factor: float = 1.0  # of the bytes as stored

    @property
    def gpus(self) -> int:
        """Over how many GPUs one copy of the model is spread."""
        return self.tensor * self.pipeline


@dataclass(frozen=True)
class Need:
    """What one GPU must hold, in bytes, and the memory that it must have for that."""

    weights: float
    cache: float
    context: int
    utilization: float

    @property
    def gpu_bytes(self) -> float:
        """Memory that a GPU must have."""
        return (self.weights + self.cache + REST_BYTES) / self.utilization

    @property
    def gpu_mib(self) -> float:
        """The same in MiB, as the market and nvidia-smi count."""
        return self.gpu_bytes / MIB

    def told(self) -> str:
        """Say it with the numbers it is made of."""
        return (
            f"needs {self.gpu_bytes / GIB:.1f} GiB a GPU: weights {self.weights / GIB:.1f} + cache for {self.context:,} "
            f"tokens {self.cache / GIB:.1f} + about {REST_BYTES / GIB:.0f} for vLLM itself, in {self.utilization:.0%} of the "
            "memory"
        )


@dataclass(frozen=True)
class Fit:
    """A model and the order it is served by; what the search needs of both."""

    about: About
    order: Order

    @classmethod
    def of(cls, about: About | None, arguments: Sequence[str]) -> "Fit | None":
        """Return it where the manifest says what the model is."""
        return cls(about, read_order(about, arguments)) if about else None

    @property
    def need(self) -> Need:
        """What one GPU must hold."""
        return need(self.about, self.order)

    def refused(self, gpu_mib: float) -> str:
        """Say why GPUs with this memory will not do, and what would make them."""
        ways = advice(self.about, self.order, gpu_mib)
        would = f"it would fit with {' or '.join(ways)}" if ways else "no argument would make it fit"
        return f"The model {self.need.told()}. On {gpu_mib * MIB / GIB:.0f} GiB {would}."


def read_order(about: About, arguments: Sequence[str]) -> Order:
    """Read what vLLM's arguments say about memory; what they leave out has vLLM's defaults."""
    given = _options(arguments)
    length = _first(given, "--max-model-len", "--max-seq-len")
    context = about.context_length if length is None else _tokens(length)
    cache = _first(given, "--kv-cache-dtype") or "auto"
    return Order(
        context=context,
        tensor=_count(_first(given, "--tensor-parallel-size", "-tp")),
        pipeline=_count(_first(given, "--pipeline-parallel-size", "-pp")),
        data=_count(_first(given, "--data-parallel-size", "-dp")),
        utilization=_share(_first(given, "--gpu-memory-utilization")),
        cache_bytes=1 if cache.startswith(("fp8", "int8")) else 2,
        weight_factor=_weight_factor(about, _first(given, "--dtype") or "auto"),
    )


def need(about: About, order: Order) -> Need:
    """Return what one GPU must hold for a model that is served by this order."""
    context = order.context if order.context is not None else min(SHORTEST_CONTEXT, about.context_length)
    # Fewer heads of the cache than GPUs: each GPU holds a copy of one.
    split = order.pipeline * min(order.tensor, about.kv_heads)
    return Need(
        weights=about.weight_bytes * order.weight_factor / order.gpus,
        cache=about.kv_values_per_token * order.cache_bytes * context / split,
        context=context,
        utilization=order.utilization,
    )


def contradictions(about: About, order: Order, gpu_count: int) -> list[str]:
    """Return a sentence for each way in which vLLM's arguments fit neither the model nor the GPUs of an instance."""
    found = []
    if about.attention_heads % order.tensor:
        sizes = ", ".join(map(str, about.tensor_parallel_sizes))
        found.append(
            f"--tensor-parallel-size {order.tensor} does not divide the model's {about.attention_heads} attention heads; "
            f"possible are {sizes}"
        )
    if (wanted := order.gpus * order.data) > gpu_count:
        found.append(f"vLLM's arguments ask for {wanted} GPUs and an instance has gpu.count {gpu_count}")
    if order.context is not None and order.context > about.context_length:
        found.append(f"--max-model-len {order.context} is longer than the model's context of {about.context_length}")
    return found


def advice(about: About, order: Order, gpu_mib: float) -> list[str]:
    """Return what would make the model fit a GPU with this memory, the least change first; empty where nothing would."""
    have = gpu_mib * MIB
    found = []
    if longest := _longest(about, order, have):
        found.append(f"--max-model-len {longest}")
    smaller = replace(order, cache_bytes=1)
    if order.cache_bytes > 1 and need(about, smaller).gpu_bytes <= have:
        found.append("--kv-cache-dtype fp8")
    for size in about.tensor_parallel_sizes:
        split = replace(order, tensor=size)
        if size > order.tensor and need(about, split).gpu_bytes <= have:
            found.append(f"gpu.count {size * order.pipeline} with --tensor-parallel-size {size}")
            break
    return found


def _longest(about: About, order: Order, have: float) -> int | None:
    """Return the longest context that fits, in whole blocks of 256 tokens; None where it is not shorter, or too short."""
    room = have * order.utilization - REST_BYTES - need(about, order).weights
    a_token = need(about, replace(order, context=1)).cache
    if room <= 0 or not a_token:
        return None
    longest = int(room / a_token) // 256 * 256
    asked = order.context if order.context is not None else 0
    return longest if SHORTEST_CONTEXT <= longest < asked else None


def _weight_factor(about: About, dtype: str) -> float:
    stored = BYTES.get(about.dtype)
    if about.quantization or stored is None or stored == 1:
        return 1.0
    if dtype == "auto":  # what is stored in 32 bits is loaded in 16
        return min(stored, 2) / stored
    return DTYPES.get(dtype, stored) / stored


def _options(arguments: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, argument in enumerate(arguments):
        if argument.startswith("-"):
            name, _, value = argument.partition("=")
            found[name.replace("_", "-")] = value or (arguments[at + 1] if at + 1 < len(arguments) else "")
    return found


def _first(given: dict[str, str], *names: str) -> str | None:
    return next((given[name] for name in names if name in given), None)


def _tokens(text: str) -> int | None:
    """Read `4096`, `32k` (thousands) or `32K` (1,024s); -1, `auto` and what is not a number are vLLM's to settle."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text.strip())
    return int(float(match[1]) * UNITS.get(match[2], 1)) or None if match else None


def _count(text: str | None) -> int:
    return max(1, int(text)) if text and text.isdigit() else 1


def _share(text: str | None) -> float:
    try:
        share = float(text) if text else UTILIZATION
    except ValueError:
        return UTILIZATION
    return share if 0 < share <= 1 else UTILIZATION
