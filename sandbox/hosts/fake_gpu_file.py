"""The state that a host's nvidia-smi reports from, and the program itself as text."""

from collections.abc import Mapping
from pathlib import Path

from sandbox.hosts.spec import HostSpec

STATE = "/etc/fake-gpus"
PROGRAM = "/usr/bin/nvidia-smi"
SOURCE = Path(__file__).resolve().parent / "inside" / "nvidia_smi.py"

# The market and the driver do not call a GPU by the same name. Others than these get their maker's name in front.
DRIVER_NAMES: Mapping[str, str] = {
    "RTX A6000": "NVIDIA RTX A6000",
    "RTX 6000Ada": "NVIDIA RTX 6000 Ada Generation",
    "A100 SXM4": "NVIDIA A100-SXM4-80GB",
    "A100 PCIE": "NVIDIA A100 80GB PCIe",
    "H100 SXM": "NVIDIA H100 80GB HBM3",
    "H100 PCIE": "NVIDIA H100 PCIe",
}
GAMING = "RTX "


def state(spec: HostSpec) -> str:
    """Return the state file: lines of GPU index or *, key, value; the last line that fits counts."""
    name = driver_name(spec.gpu_name)
    return f"* count {spec.gpu_count}\n* name {name}\n* mem_total_mib {spec.gpu_ram_mb}\n* driver {spec.driver}\n"


def driver_name(name: str) -> str:
    """Return what nvidia-smi calls a GPU that the market lists under `name`."""
    if name.startswith("NVIDIA "):
        return name
    return DRIVER_NAMES.get(name, f"NVIDIA GeForce {name}" if name.startswith(GAMING) else f"NVIDIA {name}")


def program() -> str:
    """Return the source of nvidia-smi, to be written into a host."""
    return SOURCE.read_text()
