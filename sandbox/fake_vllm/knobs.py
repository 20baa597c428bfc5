"""Reads how the fake vLLM shall misbehave: from a file that the sandbox writes into the host, else from the
environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path("/etc/sandbox-faults")


@dataclass(frozen=True)
class Knobs:
    """The misbehaviour of the fake vLLM. `start`: seconds before it listens. `latency`: seconds of an answer.

    With `broken` its health check passes and the engine dies at the first request. With `hangs` its health check
    passes and it answers no completion.
    """

    start: float = 0.0
    latency: float = 0.0
    broken: bool = False
    hangs: bool = False


def read(environment: Mapping[str, str], file: Path = FILE) -> Knobs:
    """Return the current knobs, from lines of fault and value in the file.

    A fault that the file lacks comes from DOUBLE_START_S, DOUBLE_LATENCY_S and DOUBLE_BROKEN. Raises ValueError for a
    text that is no number.
    """
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except FileNotFoundError:
        lines = []
    faults = {line[0]: line[1] for line in lines if len(line) == 2}
    return Knobs(
        start=float(faults.get("vllm_start_s", environment.get("DOUBLE_START_S", "0"))),
        latency=float(faults.get("vllm_latency_s", environment.get("DOUBLE_LATENCY_S", "0"))),
        broken=faults.get("vllm_broken", environment.get("DOUBLE_BROKEN", "0")) == "1",
        hangs=faults.get("vllm_hangs") == "1",
    )
