"""The file system of emulated servers: Debian 12 with the packages of packages.txt, which set-up makes in the cache."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox.hetzner.machines import MachinesError
from sandbox.services.child import ServiceError
from sandbox.services.programs import find

FOLDER = Path(__file__).resolve().parent
PACKAGES = FOLDER / "packages.txt"
ETCDUTL_SUMS = FOLDER.parents[1] / "offline" / "modules" / "etcdutl" / "go.sum"
OF_K3S = ("etcd", "kube-apiserver", "kube-controller-manager")
OF_NODE = (
    *("kubelet", "kube-scheduler", "kube-proxy", "kube-router"),
    *("containerd", "containerd-shim-runc-v2", "ctr"),
)
# Programs of ours in place of those that need a machine of one's own: file -> place in the server.
STAND_INS = {
    "boot.py": "/usr/local/lib/sandbox/boot",
    "systemctl.py": "/usr/bin/systemctl",
    "journalctl.py": "/usr/bin/journalctl",
    "mount.py": "/usr/local/sbin/mount",
}
BOOT = STAND_INS["boot.py"]
PROGRAMS = "/usr/local/lib/sandbox/bin"  # what the stand-in of k3s runs
IMAGES = "/usr/local/lib/sandbox/images"  # what its pods run from


@dataclass(frozen=True)
class Image:
    """A root file system, and what each server sees of the machine: programs in PROGRAMS by name, archives in IMAGES."""

    folder: Path
    programs: Mapping[str, Path] = field(default_factory=dict)
    images: Sequence[Path] = ()

    @property
    def runs_pods(self) -> bool:
        """Whether servers have what runs pods."""
        return "kubelet" in self.programs

    def demand(self) -> None:
        """Raise MachinesError if set-up has not made the file system."""
        if not (self.folder / "usr" / "bin" / "cloud-init").exists():
            raise MachinesError(
                f"The file system of Hetzner's emulated servers is not in {self.folder}. "
                "Make it with: python3 -m tools.setup --parts hetzner"
            )


def folder_in(cache: Path) -> Path:
    """Return where set-up makes the file system in the project's cache."""
    return cache / "hetzner" / hashlib.sha256(PACKAGES.read_bytes()).hexdigest()[:16] / "debian-12"


def of_k3s(cache: Path) -> dict[str, Path]:
    """Return the programs that the stand-in of k3s runs, by name, from PATH and the cache. Raises ServiceError."""
    digest = hashlib.sha256(ETCDUTL_SUMS.read_bytes()).hexdigest()[:16]
    etcdutl = cache / "etcdutl" / digest / "etcdutl"
    if not etcdutl.is_file():
        raise ServiceError(f"{etcdutl} is missing. Make it with: python3 -m tools.setup --parts hetzner")
    return {name: Path(find(name)).resolve() for name in OF_K3S} | {"etcdutl": etcdutl}


def with_node(image: Image, archives: Sequence[Path]) -> Image:
    """Return an image whose servers run pods from these archives. Raises ServiceError with the command that brings it."""
    found = {name: shutil.which(name) for name in OF_NODE}
    programs = {name: Path(place).resolve() for name, place in found.items() if place}
    if len(programs) < len(OF_NODE) or not archives:
        raise ServiceError("The node's programs or images are missing. Bring them: python3 -m tools.setup --parts node")
    return replace(image, programs={**image.programs, **programs}, images=tuple(archives))


def stand_ins() -> dict[str, tuple[str, int]]:
    """Return path -> (text, mode) of the stand-ins."""
    return {place: ((FOLDER / "inside" / name).read_text(), 0o755) for name, place in STAND_INS.items()}
