"""The file system of emulated servers: Debian 12 with the packages of packages.txt, which set-up makes in the cache."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.hetzner.machines import MachinesError
from sandbox.services.child import ServiceError
from sandbox.services.programs import find

FOLDER = Path(__file__).resolve().parent
PACKAGES = FOLDER / "packages.txt"
ETCDUTL_SUMS = FOLDER.parents[1] / "offline" / "modules" / "etcdutl" / "go.sum"
OF_K3S = ("etcd", "kube-apiserver", "kube-controller-manager")
# Programs of ours in place of those that need a machine of one's own: file -> place in the server.
STAND_INS = {
    "boot.py": "/usr/local/lib/sandbox/boot",
    "systemctl.py": "/usr/bin/systemctl",
    "journalctl.py": "/usr/bin/journalctl",
    "mount.py": "/usr/local/sbin/mount",
}
BOOT = STAND_INS["boot.py"]
PROGRAMS = "/usr/local/lib/sandbox/bin"  # what the stand-in of k3s runs


@dataclass(frozen=True)
class Image:
    """A root file system, and programs of the machine that each server sees in PROGRAMS, by name."""

    folder: Path
    programs: Mapping[str, Path] = field(default_factory=dict)

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


def stand_ins() -> dict[str, tuple[str, int]]:
    """Return path -> (text, mode) of the stand-ins."""
    return {place: ((FOLDER / "inside" / name).read_text(), 0o755) for name, place in STAND_INS.items()}
