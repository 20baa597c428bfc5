"""Decide whose fault it is that vLLM ended while it started, pure: by its exit codes and its log."""

import re
from enum import Enum

ARGPARSE_STATUS = "2"
OWN_SHARE = 0.8  # if vLLM holds this share of a GPU's memory when it runs out, no other process took the memory


class Blame(Enum):
    """Name the thing that must change before vLLM can start."""

    REQUEST = "request"  # the arguments or the model: vLLM would fail on every machine
    MEMORY = "memory"  # the GPU's memory: a larger one may be sold under the same name
    GPU = "gpu"  # the GPU's model: this one is too old for a data type or a kernel
    MACHINE = "machine"


# vLLM logs these on every machine: it refuses arguments or the model's configuration before it uses a GPU.
REFUSALS = (
    "error: unrecognized arguments",
    "error: argument",
    "pydantic_core._pydantic_core.ValidationError",
    "ValueError: ",
    "NotImplementedError: ",
)
# vLLM logs these in the same form if this machine lacks something that was rented.
CIRCUMSTANCES = (
    "ValueError: Free memory on device",
    "ValueError: Memory profiling",
    "No CUDA GPUs are available",
)
# vLLM logs these on every GPU of this model, and perhaps on no other. The pattern wants an error's line, because warnings
# use the same words.
OF_THE_GPU = re.compile(
    r"(?:Error: |Value error, ).*(?:"
    r"compute capability|Minimum capability|not supported for the current GPU|No valid attention backend|"
    r"no kernel image is available|not supported in this architecture|requires sm_?\d"
    r")",
    re.IGNORECASE,
)
TOO_SMALL = re.compile(
    r"Error: .*(?:No available memory for the cache blocks|To serve at least one request with the model's max seq len)",
    re.IGNORECASE,
)
OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError.*?total capacity of (?P<all>[\d.]+) (?P<unit>[GM]iB)"
    r".*?this process has (?P<own>[\d.]+) (?P<own_unit>[GM]iB) memory in use"
)
MIB = {"MiB": 1, "GiB": 1024}


def blame(ends: list[str], log: str) -> Blame:
    """Return whose fault the end is. `ends`: "<exit code> <status>" each; `log`: vLLM's log since its start."""
    if any(end.split()[:1] == [ARGPARSE_STATUS] for end in ends):
        return Blame.REQUEST
    if any(sign in log for sign in CIRCUMSTANCES):
        return Blame.MACHINE
    if OF_THE_GPU.search(log):
        return Blame.GPU
    if TOO_SMALL.search(log) or _ran_out_of_its_own(log):
        return Blame.MEMORY
    return Blame.REQUEST if any(sign in log for sign in REFUSALS) else Blame.MACHINE


def _ran_out_of_its_own(log: str) -> bool:
    found = OUT_OF_MEMORY.search(log)
    if not found:
        return False
    return float(found["own"]) * MIB[found["own_unit"]] >= OWN_SHARE * float(found["all"]) * MIB[found["unit"]]
