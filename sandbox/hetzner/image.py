"""The file system of emulated servers: Debian 12 with the packages of packages.txt, which set-up makes in the cache."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.hetzner.machines import MachinesError

FOLDER = Path(__file__).resolve().parent
PACKAGES = FOLDER / "packages.txt"
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


def stand_ins() -> dict[str, tuple[str, int]]:
    """Return path -> (text, mode) of the stand-ins."""
    return {place: ((FOLDER / "inside" / name).read_text(), 0o755) for name, place in STAND_INS.items()}
