"""Tell whether a model fits a GPU; pure: vLLM's need of each GPU's memory, and arguments that lower it.

    a GPU's memory x gpu-memory-utilization >= weights / GPUs + KV cache of one request of full length / GPUs + the rest

vLLM refuses to start if the cache does not hold one request of `--max-model-len`. The rest (CUDA context, graphs,
activations) is an estimate: users reported 1.5 to 2.5 GiB for models of 7 to 70 billion parameters. So we also rent
GPUs that hold everything but the rest, after the larger ones. Only vLLM itself finds out how much memory a machine has
left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from providers.vast.search.serving_options import LONGER, ServingOptions, read_options
from weights.model_info import ModelInfo

MIB, GIB = 2**20, 2**30
REST_BYTES = 2 * GIB
LEAST_REST_BYTES = GIB // 4  # even a small model without graphs takes this much; with less, no model starts
SHORTEST_CONTEXT = 1024  # a shorter context is of no use


@dataclass(frozen=True)
class Need:
    """The bytes that one GPU must hold, and the memory that it must have for them."""

    weights: float
    cache: float
    context: int
    utilization: float

    @property
    def least_mib(self) -> float:
        """Memory in MiB below which no GPU can serve the model, even with the smallest rest."""
        return (self.weights + self.cache + LEAST_REST_BYTES) / self.utilization / MIB

    @property
    def gpu_bytes(self) -> float:
        """Memory in bytes that a GPU must have."""
        return (self.weights + self.cache + REST_BYTES) / self.utilization

    @property
    def gpu_mib(self) -> float:
        """The same in MiB, the unit of the market and nvidia-smi."""
        return self.gpu_bytes / MIB

    def describe(self) -> str:
        """Return the need in words, with each of its parts."""
        return (
            f"needs {self.gpu_bytes / GIB:.1f} GiB a GPU: weights {self.weights / GIB:.1f} + cache for {self.context:,} "
            f"tokens {self.cache / GIB:.1f} + about {REST_BYTES / GIB:.0f} for vLLM itself, in {self.utilization:.0%} of the "
            "memory"
        )


@dataclass(frozen=True)
class Fit:
    """A model and its serving options; the search asks them about memory."""

    model: ModelInfo
    options: ServingOptions

    @classmethod
    def of(
        cls, model: ModelInfo | None, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> "Fit | None":
        """Return the fit, or None if the manifest does not describe the model."""
        return cls(model, read_options(model, arguments, environment)) if model else None

    @property
    def least_mib(self) -> float:
        """Memory in MiB below which we rent no GPU; 0 if the arguments make the estimate unreliable."""
        return 0.0 if self.options.loose else self.need.least_mib

    def may_be_too_small(self, gpu_mib: float) -> bool:
        """Return True if the memory may be too small. We rent such a GPU only if no larger one fits."""
        return gpu_mib < self.need.gpu_mib

    @property
    def need(self) -> Need:
        """The memory need of one GPU."""
        return need(self.model, self.options)

    def doubts(self, gpu_count: int) -> list[str]:
        """Return one sentence for each setting that may work but is perhaps a mistake."""
        return doubts(self.model, self.options, gpu_count)

    def refused(self, gpu_mib: float) -> str:
        """Return why GPUs with this memory are too small, and the arguments that would make the model fit."""
        ways = advice(self.model, self.options, gpu_mib)
        would = f"it would fit with {' or '.join(ways)}" if ways else "no argument would make it fit"
        return f"The model {self.need.describe()}. On {gpu_mib * MIB / GIB:.0f} GiB {would}."


def need(model: ModelInfo, options: ServingOptions) -> Need:
    """Return the memory need of one GPU for a model with these serving options."""
    context = options.context if options.context is not None else min(SHORTEST_CONTEXT, model.context_length)
    # With fewer KV heads than GPUs, each GPU holds a copy of one head.
    split = options.pipeline * min(options.tensor, model.kv_heads)
    return Need(
        weights=max(0.0, model.weight_bytes * options.weight_factor / options.gpus - options.offload_bytes),
        cache=model.cached_values(context) * options.cache_bytes / split,
        context=context,
        utilization=options.utilization,
    )


def contradictions(model: ModelInfo, options: ServingOptions, gpu_count: int) -> list[str]:
    """Return one sentence for each contradiction between vLLM's arguments and the model or the instance's GPUs.

    Contains only settings that vLLM always refuses. `doubts` has the settings that may work.
    """
    if options.loose:
        return []
    found = []
    if not model.splits_over(options.tensor):
        sizes = ", ".join(map(str, model.tensor_parallel_sizes))
        found.append(
            f"--tensor-parallel-size {options.tensor} does not divide the model's {model.attention_heads} attention heads "
            f"and {model.kv_heads} of the KV cache; possible are {sizes}"
        )
    if (wanted := options.gpus * options.data) > gpu_count:
        found.append(f"vLLM's arguments ask for {wanted} GPUs and an instance has gpu.count {gpu_count}")
    # Older manifests give the context without its rope scaling, so it may be shorter than vLLM's limit.
    if _too_long(model, options) and model.model_type is not None and not options.longer:
        found.append(
            f"--max-model-len {options.context} is longer than the model's context of {model.context_length}; if it is "
            f'meant, set {LONGER}: "1" in the fleet\'s environment'
        )
    return found


def doubts(model: ModelInfo, options: ServingOptions, gpu_count: int) -> list[str]:
    """Return one sentence for each setting that may work but is perhaps a mistake."""
    found = ["vLLM's arguments change the model or its memory: the estimate may be wrong"] if options.loose else []
    if (used := options.gpus * options.data) < gpu_count:
        found.append(f"vLLM uses {used} of the {gpu_count} GPUs that are paid for")
    if _too_long(model, options) and not contradictions(model, options, gpu_count):
        found.append(f"--max-model-len {options.context} is longer than the model's context of {model.context_length}")
    return found


def _too_long(model: ModelInfo, options: ServingOptions) -> bool:
    return options.context is not None and options.context > model.context_length


def advice(model: ModelInfo, options: ServingOptions, gpu_mib: float) -> list[str]:
    """Return the arguments that would make the model fit a GPU with this memory, smallest change first."""
    have = gpu_mib * MIB
    found = []
    if longest := _longest(model, options, have):
        found.append(f"--max-model-len {longest}")
    smaller = replace(options, cache_bytes=1)
    if options.cache_bytes > 1 and need(model, smaller).gpu_bytes <= have:
        found.append("--kv-cache-dtype fp8")
    for size in model.tensor_parallel_sizes:
        split = replace(options, tensor=size)
        if size > options.tensor and need(model, split).gpu_bytes <= have:
            found.append(f"gpu.count {size * options.pipeline} with --tensor-parallel-size {size}")
            break
    return found


def _longest(model: ModelInfo, options: ServingOptions, have: float) -> int | None:
    """Return the longest context that fits, in blocks of 256 tokens; None if it is too short or no shorter than now."""
    asked = options.context if options.context is not None else 0
    below, above = SHORTEST_CONTEXT // 256, asked // 256
    if above <= below or need(model, replace(options, context=below * 256)).gpu_bytes > have:
        return None
    while above - below > 1:  # the need grows with the context, so `below` and shorter contexts always fit
        middle = (below + above) // 2
        fits = need(model, replace(options, context=middle * 256)).gpu_bytes <= have
        below, above = (middle, above) if fits else (below, middle)
    return below * 256
