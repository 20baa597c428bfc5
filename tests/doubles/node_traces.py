"""What a node could leave on the machine: control groups, mounts, links, addresses, kernel settings, folders, processes."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox.node import cgroups
from sandbox.node.programs import SETTINGS

# What kubelet, containerd and CNI write to on a machine of their own.
FOLDERS = ("/run", "/run/netns", "/var/lib", "/var/lib/cni", "/var/log", "/etc/cni", "/opt", "/opt/cni", "/tmp")
THEIRS = ("kube", "containerd", "cni", "netns", "runc", "pods", "xtables")
OTHER_SETTINGS = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables", "net/netfilter/nf_conntrack_max")


@dataclass(frozen=True)
class Machine:
    """The machine at one moment."""

    groups: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    rules: str
    settings: tuple[str, ...]
    folders: tuple[frozenset[str], ...]


def left(before: Machine, after: Machine) -> list[str]:
    """Return what came between two looks and stayed. What went meanwhile is another node's."""
    came = [after.groups - before.groups, after.mounts - before.mounts, after.links - before.links]
    came += [after.routes - before.routes]
    came += [now - then for then, now in zip(before.folders, after.folders, strict=True)]
    changed = [then for then, now in zip(before.settings, after.settings, strict=True) if then != now]
    return [*sorted(frozenset().union(*came)), *changed, *([after.rules] if after.rules != before.rules else [])]


def look(home: Path) -> Machine:
    """Look at the machine. `home`: only mounts and groups that name it, or a node, count; other tests may run beside."""
    groups = [group.name for place in cgroups.hierarchies() for group in place.iterdir() if group.is_dir()]
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    links = [link.name for link in Path("/sys/class/net").iterdir()]
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    routes = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True).stdout.splitlines()
    return Machine(
        groups=frozenset(name for name in groups if name.startswith(("gpu-fleet", "kubepods", "k8s.io"))),
        mounts=frozenset(place for place in mounts if str(home) in place or "kubelet" in place or "netns" in place),
        links=frozenset(name for name in links if name.startswith(("gpufleet", "pods", "cni", "kube", "dummy"))),
        routes=frozenset(route for route in routes if "10.222." in route or "10.244." in route),
        rules=rules,
        settings=tuple(read(f"/proc/sys/{name}") for name in (*SETTINGS, *OTHER_SETTINGS)),
        folders=tuple(names(Path(folder)) for folder in FOLDERS),
    )


def read(file: str) -> str:
    """Return a setting, empty if the kernel has none of that name."""
    return Path(file).read_text() if Path(file).exists() else ""


def names(folder: Path) -> frozenset[str]:
    """Return what a folder holds of a node's programs; nothing if there is no such folder."""
    held = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    return frozenset(name for name in held if any(word in name for word in THEIRS))


def processes(home: Path) -> list[str]:
    """Return the processes that name a folder, or that see it as a node's own folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            own = "/run/node" in words and str(home) in (file.parent / "mountinfo").read_text()
        except OSError:  # it has ended
            continue
        if own or str(home) in words:
            found.append(words)
    return found
