"""The node's control group, one in each hierarchy of the machine. The node sees its own group as the root."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox.hosts.inside import groups, kernel
from sandbox.hosts.inside.groups import ROOT

COPIED = ("cpuset.cpus", "cpuset.mems")  # in version 1 a new group may use no processor until it is told which
REMOVE_SECONDS, LOOK_SECONDS = 15.0, 0.05


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
    """Move this process into the group, and back at the end. Processes that it starts meanwhile stay in the group."""
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
    groups.hand_on()


def named(prefix: str) -> list[str]:
    """Return the names of all groups that begin so, from every hierarchy."""
    return sorted({group.name for place in hierarchies() for group in place.glob(f"{prefix}*") if group.is_dir()})


def remove(name: str, *, itself: bool = True) -> None:
    """Remove the group, `itself` too, and all below it; waits for the last processes to end. Raises OSError if some do not.

    Without `itself`, the group of its first process stays as well.
    """
    deadline = time.monotonic() + REMOVE_SECONDS
    for place in hierarchies():
        group = place / name
        while group.exists():
            try:
                below = (each for each in group.rglob("*") if each.is_dir())
                for folder in sorted(below, reverse=True):
                    if itself or folder != group / groups.FIRST:
                        folder.rmdir()
                if not itself:
                    break
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)
