"""Whether a model fits a GPU, pure: what vLLM needs of each GPU's memory, and which arguments would make it need less.

    a GPU's memory x gpu-memory-utilization >= weights / GPUs + KV cache of one request of full length / GPUs + the rest

vLLM refuses to start where the cache does not hold one request of `--max-model-len`. The rest (CUDA context, graphs,
activations) is an estimate: 1.5 to 2.5 GiB were reported for models of 7 to 70 billion parameters. So GPUs
that hold all but the rest are rented too, after the larger ones; what a machine has left only vLLM itself finds out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from providers.vast.search.serving_options import LONGER, ServingOptions, read_options
from weights.model_info import ModelInfo

MIB, GIB = 2**20, 2**30
REST_BYTES = 2 * GIB
LEAST_REST_BYTES = GIB // 4  # what even a small model without graphs takes: below it nothing would start
SHORTEST_CONTEXT = 1024  # below it nobody wants to be served


@dataclass(frozen=True)
class Need:
    """What one GPU must hold, in bytes, and the memory that it must have for that."""

    weights: float
    cache: float
    context: int
    utilization: float

    @property
    def least_mib(self) -> float:
        """Memory in MiB below which a GPU cannot do, whatever vLLM itself takes; all of it may be given to vLLM."""
        return (self.weights + self.cache + LEAST_REST_BYTES) / self.utilization / MIB

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

    about: ModelInfo
    order: ServingOptions

    @classmethod
    def of(
        cls, about: ModelInfo | None, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> "Fit | None":
        """Return it where the manifest says what the model is."""
        return cls(about, read_options(about, arguments, environment)) if about else None

    @property
    def least_mib(self) -> float:
        """Memory in MiB below which a GPU is not rented; 0 where the arguments change what can be computed."""
        return 0.0 if self.order.loose else self.need.least_mib

    def tight(self, gpu_mib: float) -> bool:
        """Say whether it may be too little: such a GPU is rented where no larger one fits the wishes."""
        return gpu_mib < self.need.gpu_mib

    @property
    def need(self) -> Need:
        """What one GPU must hold."""
        return need(self.about, self.order)

    def doubts(self, gpu_count: int) -> list[str]:
        """Return a sentence for each thing that may work and is perhaps not meant."""
        return doubts(self.about, self.order, gpu_count)

    def refused(self, gpu_mib: float) -> str:
        """Say why GPUs with this memory will not do, and what would make them."""
        ways = advice(self.about, self.order, gpu_mib)
        would = f"it would fit with {' or '.join(ways)}" if ways else "no argument would make it fit"
        return f"The model {self.need.told()}. On {gpu_mib * MIB / GIB:.0f} GiB {would}."


def need(about: ModelInfo, order: ServingOptions) -> Need:
    """Return what one GPU must hold for a model that is served by this order."""
    context = order.context if order.context is not None else min(SHORTEST_CONTEXT, about.context_length)
    # Fewer heads of the cache than GPUs: each GPU holds a copy of one.
    split = order.pipeline * min(order.tensor, about.kv_heads)
    return Need(
        weights=max(0.0, about.weight_bytes * order.weight_factor / order.gpus - order.offload_bytes),
        cache=about.cached_values(context) * order.cache_bytes / split,
        context=context,
        utilization=order.utilization,
    )


def contradictions(about: ModelInfo, order: ServingOptions, gpu_count: int) -> list[str]:
    """Return a sentence for each way in which vLLM's arguments fit neither the model nor the GPUs of an instance.

    Only what vLLM refuses whatever else is given: what may work is `doubts`.
    """
    if order.loose:
        return []
    found = []
    if not about.splits_over(order.tensor):
        sizes = ", ".join(map(str, about.tensor_parallel_sizes))
        found.append(
            f"--tensor-parallel-size {order.tensor} does not divide the model's {about.attention_heads} attention heads and "
            f"{about.kv_heads} of the KV cache; possible are {sizes}"
        )
    if (wanted := order.gpus * order.data) > gpu_count:
        found.append(f"vLLM's arguments ask for {wanted} GPUs and an instance has gpu.count {gpu_count}")
    # Manifests of older versions give the context without its rope scaling, which may be shorter than what vLLM takes.
    if _too_long(about, order) and about.model_type is not None and not order.longer:
        found.append(
            f"--max-model-len {order.context} is longer than the model's context of {about.context_length}; if it is meant, "
            f'set {LONGER}: "1" in the fleet\'s environment'
        )
    return found


def doubts(about: ModelInfo, order: ServingOptions, gpu_count: int) -> list[str]:
    """Return a sentence for each thing that may work and is perhaps not meant."""
    found = ["vLLM's arguments change the model or its memory: the estimate may be wrong"] if order.loose else []
    if (used := order.gpus * order.data) < gpu_count:
        found.append(f"vLLM uses {used} of the {gpu_count} GPUs that are paid for")
    if _too_long(about, order) and not contradictions(about, order, gpu_count):
        found.append(f"--max-model-len {order.context} is longer than the model's context of {about.context_length}")
    return found


def _too_long(about: ModelInfo, order: ServingOptions) -> bool:
    return order.context is not None and order.context > about.context_length


def advice(about: ModelInfo, order: ServingOptions, gpu_mib: float) -> list[str]:
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


def _longest(about: ModelInfo, order: ServingOptions, have: float) -> int | None:
    """Return the longest context that fits, in whole blocks of 256 tokens; None where it is not shorter, or too short."""
    asked = order.context if order.context is not None else 0
    below, above = SHORTEST_CONTEXT // 256, asked // 256
    if above <= below or need(about, replace(order, context=below * 256)).gpu_bytes > have:
        return None
    while above - below > 1:  # the need grows with the context: what fits lies at `below` and under it
        middle = (below + above) // 2
        fits = need(about, replace(order, context=middle * 256)).gpu_bytes <= have
        below, above = (middle, above) if fits else (below, middle)
    return below * 256
