"""The programs of a Kubernetes node, built from pinned Go modules into the cache, on request only.

    python3 -m tools.setup --parts node

kubelet, scheduler, proxy and kubectl have the versions of the sandbox's API server. containerd runs the pods, CoreDNS answers
for the names of services, and kube-router enforces network policies, as in k3s.
"""

from __future__ import annotations

from collections.abc import Mapping

from offline import golang
from offline.golang import Program
from offline.monitoring import KUBERNETES
from tools.machine.paths import Paths
from tools.machine.steps import step

BYTES = 9_000_000_000  # with the module and build caches of Go
CONTAINERD = "github.com/containerd/containerd/v2"
CONTAINERD_VERSION = (f"{CONTAINERD}/version.Version", "2.4.2")
KUBE_ROUTER = "github.com/cloudnativelabs/kube-router/v2"
NO_DISKS = ("no_btrfs", "no_devmapper", "no_zfs")  # the node's layers lie in overlays
# By module: programs in the order in which they are built, the version that each module's go.mod pins.
PROGRAMS: dict[str, dict[str, Program]] = {
    "pause": {"pause": Program(".")},
    "containerd": {
        "containerd": Program(f"{CONTAINERD}/cmd/containerd", CONTAINERD_VERSION, NO_DISKS),
        "containerd-shim-runc-v2": Program(f"{CONTAINERD}/cmd/containerd-shim-runc-v2", CONTAINERD_VERSION, NO_DISKS),
        "ctr": Program(f"{CONTAINERD}/cmd/ctr", CONTAINERD_VERSION, NO_DISKS),
    },
    "coredns": {"coredns": Program(".")},  # with few of its plugins: see main.go
    "kube_router": {
        "kube-router": Program(f"{KUBE_ROUTER}/cmd/kube-router", (f"{KUBE_ROUTER}/pkg/version.Version", "2.1.0")),
    },
    "kubernetes": {
        name: Program(f"k8s.io/kubernetes/cmd/{name}", KUBERNETES)
        for name in ("kube-scheduler", "kube-proxy", "kubectl", "kubelet")
    },
}
NAMES = [name for programs in PROGRAMS.values() for name in programs]


def install_node(paths: Paths, environ: Mapping[str, str]) -> None:
    """Build those of the programs that are missing, each a step of its own. Raises SetupError."""
    wanted = golang.missing(paths.node_bin, NAMES)
    if not wanted:
        return
    go = golang.find_go(paths, environ, "The node is to be built", "nothing and do without a node")
    for module, programs in PROGRAMS.items():
        for name, program in programs.items():
            if name in wanted:
                with step(f"{name} from source, {wanted.index(name) + 1} of {len(wanted)}"):
                    golang.build(go, paths.node_modules / module, program, paths.node_bin / name, environ)
