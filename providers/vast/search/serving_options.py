"""Read memory and GPU options from vLLM's arguments and environment; pure. Missing options get vLLM's defaults."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weights.model_info import ModelInfo

UTILIZATION = 0.92  # vLLM's default
BYTES = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
DTYPES = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2}
UNITS = {"k": 1000, "m": 1_000_000, "g": 10**9, "K": 1024, "M": 1024**2, "G": 1024**3}
TENSOR = ("--tensor-parallel-size", "-tp")
SPREADING = (
    *TENSOR,
    "--pipeline-parallel-size",
    "-pp",
    "--data-parallel-size",
    "-dp",
    "--prefill-context-parallel-size",
)
LONGER = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"


@dataclass(frozen=True)
class ServingOptions:
    """The memory and GPU options of a vLLM server. `context` is None if vLLM fits it to the memory itself.

    `loose`: an option changes the model or its memory in ways that we do not count. The estimate is then no reason to
    refuse. `longer`: the user asks on purpose for a longer context than the model's.
    """

    context: int | None
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    utilization: float = UTILIZATION
    cache_bytes: float = 2  # for each number in the KV cache
    weight_factor: float = 1.0  # of the stored bytes
    offload_bytes: float = 0.0  # weights of each GPU that stay in the machine's memory
    loose: bool = False
    longer: bool = False

    @property
    def gpus(self) -> int:
        """The number of GPUs that hold one copy of the model."""
        return self.tensor * self.pipeline


# These options change the model, or vLLM's use of the GPU's memory.
LOOSE = (
    "--hf-overrides",
    "--hf-config-path",
    "--load-format",
    "--kv-cache-memory-bytes",
    "--num-gpu-blocks-override",
    "--kv-transfer-config",
    "--kv-offloading-size",
    "--offload-backend",
    "--offload-params",
    "--offload-group-size",
    "--model-class-overrides",
    "--enable-expert-parallel",
    "--language-model-only",
    "--model-impl",
    "--nnodes",
    "--headless",
    "--data-parallel-size-local",
    "--additional-config",
)


def read_options(
    about: ModelInfo, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> ServingOptions:
    """Read the memory and GPU options from vLLM's arguments and variables."""
    given = options(arguments)
    length = value(given, "--max-model-len", "--max-seq-len")
    usual = about.default_context or about.context_length
    longer = (environment or {}).get(LONGER, "").strip().lower() in {"1", "true"}
    quantization = value(given, "--quantization", "-q")
    return ServingOptions(
        context=usual if length is None else _tokens(length),
        tensor=_count(value(given, *TENSOR)),
        pipeline=_count(value(given, "--pipeline-parallel-size", "-pp")),
        data=_count(value(given, "--data-parallel-size", "-dp")),
        utilization=_share(value(given, "--gpu-memory-utilization", "--device-memory-utilization")),
        cache_bytes=_cache_bytes(about, value(given, "--kv-cache-dtype") or "auto"),
        weight_factor=_weight_factor(about, value(given, "--dtype") or "auto", quantization),
        offload_bytes=_number(value(given, "--cpu-offload-gb")) * 2**30,
        loose=any(_known(option.partition(".")[0], name) for option in given for name in LOOSE),
        longer=longer or any(option.startswith(("--rope-scaling", "--rope-theta")) for option in given),
    )


def spread(about: ModelInfo | None, arguments: Sequence[str], gpu_count: int) -> tuple[str, ...]:
    """Return the arguments, with --tensor-parallel-size if several GPUs are rented and no argument uses them.

    By default vLLM would use one GPU. The size is the largest number up to the GPU count that divides the model's
    heads. Adds nothing if any kind of parallelism is given, because the user then made that decision. Adds nothing for
    an unknown model.
    """
    if about is None or is_spread(arguments):
        return tuple(arguments)
    size = max(size for size in range(1, max(gpu_count, 1) + 1) if about.splits_over(size))
    return (*arguments, f"--tensor-parallel-size={size}") if size > 1 else tuple(arguments)


def is_spread(arguments: Sequence[str]) -> bool:
    """Return True if vLLM's arguments name any kind of parallelism."""
    return any(_known(option, name) for option in options(arguments) for name in SPREADING)


def options(arguments: Sequence[str]) -> dict[str, str]:
    """Return the values by option (with dashes), ordered by last use. The last use counts, as in vLLM."""
    found: dict[str, str] = {}
    for at, argument in enumerate(arguments):
        if argument.startswith("-") and not re.match(r"-\d", argument):
            option, _, given = argument.partition("=")
            name = option.replace("_", "-")
            found.pop(name, None)
            found[name] = given or (arguments[at + 1] if at + 1 < len(arguments) else "")
    return found


def _known(option: str, name: str) -> bool:
    # argparse takes abbreviations. A whole name is no abbreviation, even if a longer name begins with it.
    return option == name or (len(option) > 6 and option not in SPREADING and name.startswith(option))


def value(given: dict[str, str], *names: str) -> str | None:
    """Return the value of an option with several names, from the result of `options`; None if absent."""
    return next((given[option] for option in reversed(given) if any(_known(option, name) for name in names)), None)


def _tokens(text: str) -> int | None:
    """Read `4096`, `32k` (thousands) or `32K` (1,024s). Return None for -1, `auto` and other text: vLLM decides."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", text.strip())
    return int(float(match[1]) * UNITS.get(match[2], 1)) or None if match else None


def _count(text: str | None) -> int:
    return max(1, int(text)) if text and text.isascii() and text.isdigit() else 1


def _number(text: str | None) -> float:
    try:
        number = float(text) if text else 0.0
    except ValueError:
        return 0.0
    return number if 0 <= number < math.inf else 0.0


def _share(text: str | None) -> float:
    share = _number(text)
    return share if 0 < share <= 1 else UTILIZATION


def _cache_bytes(about: ModelInfo, dtype: str) -> float:
    if dtype == "auto":
        return about.kv_cache_bits / 8 if about.kv_cache_bits else 2
    if dtype.startswith(("fp8", "int8")):
        return 1
    return 2 if dtype in {"bfloat16", "float16", "half"} else 0.5  # dtypes of 4 bits and less have many names


def _weight_factor(about: ModelInfo, dtype: str, quantization: str | None) -> float:
    stored = BYTES.get(about.dtype)
    if about.quantization or stored is None or stored == 1:
        return 1.0
    wanted: float = (
        min(stored, 2) if dtype == "auto" else DTYPES.get(dtype, stored)
    )  # vLLM loads weights stored in 32 bits as 16 bits
    if quantization:  # vLLM quantizes while it loads: to 8 bits, or down to 4
        wanted = 1 if "fp8" in quantization or "int8" in quantization else 0.5
    return wanted / stored
