"""Writes the file that a host's nvidia-smi reads, and holds the program itself as text."""

from pathlib import Path

from sandbox.hosts.cards import CARDS, supported
from sandbox.hosts.spec import HostSpec

STATE = "/etc/fake-gpus"
PROGRAM = "/usr/bin/nvidia-smi"
SOURCE = Path(__file__).resolve().parent / "inside" / "nvidia_smi.py"


def state(spec: HostSpec) -> str:
    """Return the state file: lines of GPU index or *, key, value. The last line that matches counts."""
    # A test may name any GPU; the table has every GPU of the market.
    name, capability = CARDS.get(spec.gpu_name, (spec.gpu_name, "8.9"))
    values = {
        "count": spec.gpu_count,
        "name": name,
        "mem_total_mib": spec.gpu_ram_mb,
        "driver": spec.driver,
        "cuda": supported(spec.driver),
        "compute_cap": capability,
    }
    return "".join(f"* {key} {value}\n" for key, value in values.items())


def program() -> str:
    """Return the source of nvidia-smi, to be written into a host."""
    return SOURCE.read_text()
