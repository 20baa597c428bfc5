"""The state that a host's nvidia-smi reports from, and the program itself as text."""

from pathlib import Path

from sandbox.hosts.spec import HostSpec

STATE = "/etc/fake-gpus"
PROGRAM = "/usr/bin/nvidia-smi"
SOURCE = Path(__file__).resolve().parent / "inside" / "nvidia_smi.py"


def state(spec: HostSpec) -> str:
    """Return the state file: lines of GPU index or *, key, value; the last line that fits counts."""
    return (
        f"* count {spec.gpu_count}\n* name {spec.gpu_name}\n* mem_total_mib {spec.gpu_ram_mb}\n* driver {spec.driver}\n"
    )


def program() -> str:
    """Return the source of nvidia-smi, to be written into a host."""
    return SOURCE.read_text()
