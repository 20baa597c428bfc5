"""What an emulated server could leave on the machine: processes in its file system, control groups, mounts, cards."""

from pathlib import Path

from sandbox.node import cgroups

GROUPS = "gpu-fleet-server-"
OF_PODS, OF_MACHINE = ("kubelet", "containerd", "netns", "/pods/"), "/usr/local/lib/sandbox/"


def processes(home: Path) -> list[int]:
    """Return the processes in servers whose files are below a folder. A server without power has one, its first."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = f"{home}/servers/" in (process / "mountinfo").read_text()
            # What started the first process waits for its end, in the same mounts.
            if inside and (process / "comm").read_text().strip() != "unshare":
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


def groups() -> list[str]:
    """Return the control groups below those of servers, which their pods have."""
    names = cgroups.named(GROUPS)
    return sorted(
        {str(each) for place in cgroups.hierarchies() for name in names for each in (place / name).rglob("*/")}
    )


def mounts_of_pods(process: int) -> list[str]:
    """Return the mounts that a process sees and that programs of a node made."""
    rows = [line.split()[4] for line in Path(f"/proc/{process}/mountinfo").read_text().splitlines()]
    return [place for place in rows if any(word in place for word in OF_PODS) and not place.startswith(OF_MACHINE)]


def cards(process: int) -> set[str]:
    """Return the network cards in the network of a process."""
    return {line.split(":")[0].strip() for line in Path(f"/proc/{process}/net/dev").read_text().splitlines()[2:]}
