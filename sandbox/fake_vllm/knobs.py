"""How the double misbehaves, from a file that the sandbox writes into the host, over what the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path("/etc/sandbox-faults")


@dataclass(frozen=True)
class Knobs:
    """`start` seconds before it listens, `latency` seconds an answer takes; `broken`: it looks healthy, and the engine
    dies at the first request; `hangs`: it looks healthy, and no completion is answered."""

    start: float = 0.0
    latency: float = 0.0
    broken: bool = False
    hangs: bool = False


def read(environment: Mapping[str, str], file: Path = FILE) -> Knobs:
    """Return the knobs as they are now: DOUBLE_START_S, DOUBLE_LATENCY_S and DOUBLE_BROKEN, or lines of fault and
    value in the file. Raises ValueError for what is no number."""
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
