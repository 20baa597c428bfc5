"""Shows a host its own control group as the root of each hierarchy. Standard library only, as the other files here."""

import os
from pathlib import Path

from sandbox.hosts.inside import kernel

ROOT = Path("/sys/fs/cgroup")
FIRST = "node"  # in version 2, the group of the first process and of its descendants
DELEGATED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def show(name: str, target: Path) -> None:
    """Mount the machine's groups of this name at a folder, as the machine has its hierarchies. Call it inside the group."""
    if (ROOT / "cgroup.controllers").exists():
        kernel.bind(str(ROOT / name), str(target))
        return
    for place in sorted(ROOT.iterdir()):
        shown = target / place.name
        if place.is_symlink():
            shown.symlink_to(place.readlink())
        elif place.is_dir():
            shown.mkdir()
            kernel.bind(str(place / name), str(shown))


def hand_on() -> None:
    """In version 2, let groups below this process's have controllers: only a group without processes hands them on."""
    if not (ROOT / "cgroup.controllers").exists():
        return
    (ROOT / FIRST).mkdir()
    (ROOT / FIRST / "cgroup.procs").write_text(str(os.getpid()))
    known = (ROOT / "cgroup.controllers").read_text().split()
    (ROOT / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in DELEGATED if each in known))
