"""Whose fault it is that vLLM ended while it started, pure: by its exit codes and its last words."""

import re
from enum import Enum

ARGPARSE_STATUS = "2"
OWN_SHARE = 0.8  # of a GPU's memory that vLLM itself holds when it runs out: nobody else is in its way


class Blame(Enum):
    """What would have to be another one for vLLM to start."""

    ORDER = "order"  # its arguments or the model: no machine would do
    MEMORY = "memory"  # a GPU with more memory; it may be sold under the same name
    GPU = "gpu"  # a newer model of GPU: this one is too old for a data type or a kernel
    MACHINE = "machine"


# What vLLM says when no machine would do: arguments and the model's configuration, both refused before a GPU is used.
REFUSALS = (
    "error: unrecognized arguments",
    "error: argument",
    "pydantic_core._pydantic_core.ValidationError",
    "ValueError: ",
    "NotImplementedError: ",
)
# ... what it says in the same form when this machine is short of something that was rented ...
CIRCUMSTANCES = (
    "ValueError: Free memory on device",
    "ValueError: Memory profiling",
    "No CUDA GPUs are available",
)
# ... and what it says on every GPU of this model, and perhaps on no other. Looked for where an error stands, because
# warnings speak of the same things.
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
    """Return whose fault the end is. `ends`: "<exit code> <status>" each; `log`: what vLLM said since its start."""
    if any(end.split()[:1] == [ARGPARSE_STATUS] for end in ends):
        return Blame.ORDER
    if any(sign in log for sign in CIRCUMSTANCES):
        return Blame.MACHINE
    if OF_THE_GPU.search(log):
        return Blame.GPU
    if TOO_SMALL.search(log) or _ran_out_of_its_own(log):
        return Blame.MEMORY
    return Blame.ORDER if any(sign in log for sign in REFUSALS) else Blame.MACHINE


def _ran_out_of_its_own(log: str) -> bool:
    found = OUT_OF_MEMORY.search(log)
    if not found:
        return False
    return float(found["own"]) * MIB[found["own_unit"]] >= OWN_SHARE * float(found["all"]) * MIB[found["unit"]]
