"""The node's control group, one in each hierarchy of the machine. The node sees its own group as the root."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox.hosts.inside import kernel

ROOT = Path("/sys/fs/cgroup")
COPIED = ("cpuset.cpus", "cpuset.mems")  # in version 1 a new group may use no processor until it is told which
REMOVE_SECONDS, LOOK_SECONDS = 15.0, 0.05
DELEGATED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def hierarchies() -> list[Path]:
    """Return the mount point of each hierarchy: one with version 2, several with version 1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [place for place in sorted(ROOT.iterdir()) if place.is_dir() and not place.is_symlink()]


def make(name: str) -> None:
    """Make the group in each hierarchy."""
    for place in hierarchies():
        group = place / name
        group.mkdir(exist_ok=True)
        for file in COPIED:
            if (place / file).exists():
                (group / file).write_text((place / file).read_text())


@contextlib.contextmanager
def within(name: str) -> Iterator[None]:
    """Move this process into the group, and back at the end. What it starts meanwhile stays in the group."""
    before = own()
    try:
        for place in hierarchies():
            (place / name / "cgroup.procs").write_text("0")
        yield
    finally:
        for place, group in before.items():
            (place / group / "cgroup.procs").write_text("0")


def own() -> dict[Path, str]:
    """Return this process's group in each hierarchy, relative to its mount point."""
    found = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, controllers, group = line.split(":", 2)
        name = controllers.removeprefix("name=").partition(",")[0]
        for place in hierarchies():
            version_2 = (place / "cgroup.controllers").exists()
            if (not controllers and version_2) or (controllers and not version_2 and place.name.split(",")[0] == name):
                found[place] = group.lstrip("/")
    return found


def show_own(name: str, aside: Path) -> None:
    """Show the group as the root of every hierarchy, in this mount namespace. `aside`: an empty folder for the moment."""
    for place in hierarchies():
        kernel.bind(str(place / name), str(aside))
        kernel.unmount(str(place))  # one mount a hierarchy: programs look them up in the list of mounts
        kernel.bind(str(aside), str(place))
        kernel.unmount(str(aside))
    if (ROOT / "cgroup.controllers").exists():
        # In version 2 only a group without processes hands controllers on.
        (ROOT / "node").mkdir()
        (ROOT / "node" / "cgroup.procs").write_text(str(os.getpid()))
        known = (ROOT / "cgroup.controllers").read_text().split()
        (ROOT / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in DELEGATED if each in known))


def remove(name: str) -> None:
    """Remove the group and all below it; waits for the last processes to end. Raises OSError if some do not."""
    deadline = time.monotonic() + REMOVE_SECONDS
    for place in hierarchies():
        group = place / name
        while group.exists():
            try:
                for folder in sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True):
                    folder.rmdir()
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)
