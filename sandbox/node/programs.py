"""A node's programs: their arguments, and in which order they start."""

import ssl
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from sandbox.node.files import CONTAINERD_SOCKET
from sandbox.node.site import Site

# The kubelet sets these for the whole machine. It finds them set in the node, and the machine's own stay as they were.
SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


@dataclass(frozen=True)
class Program:
    """One program. It starts when the one named `after` is ready, which `ready` tells: a URL, or an existing path.

    It is started again when it ends, unless it runs `once`: then its success is what makes it ready.
    """

    name: str
    arguments: tuple[str, ...]
    after: str = ""
    ready: str = ""
    once: bool = False
    label: str = ""

    @property
    def key(self) -> str:
        """Return the name of its log, which each program has to itself."""
        return self.label or self.name


def of_node(site: Site, images: Sequence[str], after: str = "") -> tuple[Program, ...]:
    """Return the programs that run pods. `images`: archives to import; `after`: what the kubelet and the like wait for."""
    return (
        Program("containerd", (f"--config={site.settings}/containerd.toml",), ready=CONTAINERD_SOCKET),
        *imports(images),
        Program("kube-scheduler", scheduler(site), after),
        Program("kubelet", kubelet(site), after),
        Program("kube-proxy", (f"--config={site.settings}/proxy.yaml",), after),
        Program("kube-router", policies(site), after),
    )


def imports(images: Sequence[str]) -> list[Program]:
    """Return the imports of images, one after the other."""
    found, after = [], "containerd"
    for archive in images:
        label = image_label(archive)
        words = (f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", "import", archive)
        found.append(Program("ctr", words, after, once=True, label=label))
        after = label
    return found


def image_label(archive: str) -> str:
    """Return the name of an import's log.

    >>> image_label("/cache/prometheus.tar")
    'image-prometheus'
    """
    return f"image-{PurePath(archive).stem}"


def scheduler(site: Site) -> tuple[str, ...]:
    """Return the scheduler's arguments."""
    return (f"--kubeconfig={site.keys}/scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1")


def kubelet(site: Site) -> tuple[str, ...]:
    """Return the kubelet's arguments."""
    return (
        f"--config={site.settings}/kubelet.yaml",
        f"--kubeconfig={site.keys}/kubelet.kubeconfig",
        f"--hostname-override={site.name}",
        f"--root-dir={site.state}/kubelet",
        f"--node-ip={site.address}",
    )


def policies(site: Site) -> tuple[str, ...]:
    """Return kube-router's arguments: network policies alone, as k3s uses it."""
    return (
        f"--kubeconfig={site.keys}/policies.kubeconfig",
        f"--hostname-override={site.name}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        "--health-port=0",
        f"--service-cluster-ip-range={site.services}",
    )


def answers(ready: str) -> bool:
    """Say whether a program is ready, by its `ready`: without a condition at once."""
    if not ready.startswith("http"):
        return not ready or Path(ready).exists()
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(ready, timeout=1, context=unverified) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
