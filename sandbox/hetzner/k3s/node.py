"""The part of k3s that runs pods, if the server has the programs for it: containerd, kubelet and what goes with them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from sandbox.hetzner.k3s import pki
from sandbox.hetzner.k3s.api import Api, Refused
from sandbox.hetzner.k3s.config import Settings
from sandbox.hetzner.k3s.local_path import Provisioner
from sandbox.hetzner.k3s.programs import PROGRAMS, Child, kubeconfig, say, write
from sandbox.node import files, objects
from sandbox.node.order import Order
from sandbox.node.programs import Program, image_label, of_node
from sandbox.node.site import Site

IMAGES, LAYERS = Path("/usr/local/lib/sandbox/images"), "/var/lib/sandbox/layers"
PODS, PODS_HERE = "10.42.0.0/16", "10.42.0.0/24"  # of a cluster of one server, the first part of all
DNS = "10.43.0.10"
PUBLIC = "198.19.1.100"  # the server's address if config names none
LOOK_SECONDS = 1.0
# By file: user and group at the API server.
CLIENTS = {
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "policies": ("kube-router", ""),
}


def is_here() -> bool:
    """Say whether this server has what runs pods."""
    return (PROGRAMS / "kubelet").exists()


def address_of(settings: Settings) -> str:
    """Return the node's address."""
    return settings.text("node-ip", PUBLIC)


class Node:
    """This server as a node of its own cluster. `folder` has the cluster's authorities."""

    def __init__(self, settings: Settings, folder: Path, api: Api, url: str, services: str) -> None:
        self._settings, self._folder, self._api, self._url = settings, folder, api, url
        agent = settings.data / "agent"
        self._site = Site(
            name=settings.node,
            address=address_of(settings),
            pods=PODS_HERE,
            services=services,
            dns=settings.text("cluster-dns", DNS),
            keys=str(agent / "keys"),
            settings=str(agent / "etc"),
            state=str(agent),
            layers=f"{LAYERS}/containerd",
        )
        # The image of the process that holds a pod's network first: no pod starts without it.
        images = sorted(map(str, IMAGES.glob("*.tar")), key=lambda archive: (Path(archive).stem != "pause", archive))
        after = image_label(images[-1]) if images else "containerd"
        self._order = Order(of_node(self._site, images, after))
        self._children: dict[str, tuple[Program, Child]] = {}
        self._disks = Provisioner(api, Path(settings.text("default-local-storage-path") or settings.data / "storage"))
        self._declared, self._looked, self._reported = False, 0.0, False

    def prepare(self) -> None:
        """Write keys and settings."""
        site, folder = self._site, self._folder
        user, group = f"system:node:{site.name}", "system:nodes"
        pki.make_client(folder, "client-kubelet", user, group)
        pki.make_serving(folder, "serving-kubelet", site.name, [site.name, site.address, "127.0.0.1"])
        keys = Path(site.keys)
        write(keys / "ca.crt", (folder / "client-ca.crt").read_text())
        write(keys / "kubelet.crt", (folder / "serving-kubelet.crt").read_text())
        write(keys / "kubelet.key", (folder / "serving-kubelet.key").read_text())
        write(keys / "kubelet.kubeconfig", kubeconfig(folder, "client-kubelet", self._url))
        for name, (own, others) in CLIENTS.items():
            pki.make_client(folder, f"client-{name}", own, others)
            write(keys / f"{name}.kubeconfig", kubeconfig(folder, f"client-{name}", self._url))
        files.write(site, Path(site.settings), {})
        Path(files.CONTAINERD_SOCKET).unlink(missing_ok=True)  # of the containerd before: this one makes its own

    def children(self) -> Iterator[Child]:
        """Return what runs, the newest first."""
        return (child for _, child in reversed(self._children.values()))

    def turn(self) -> None:
        """Start what may start now, again if it ended, and do what k3s does by itself.

        One thread calls it until the end, because programs end with the thread that started them.
        """
        for program in self._order.next(time.monotonic()):
            logs = self._settings.data / "agent" / "logs"
            self._children[program.key] = (program, Child(program.name, program.arguments, logs, program.key))
        self._order.look(program for program, _ in self._children.values())
        for key, (program, child) in list(self._children.items()):
            status = child.process.poll()
            if status is not None:
                if not program.once or status:
                    say(f"{key} exited with status {status}: {child.tail()}", "error")
                del self._children[key]
                self._order.ended(program, time.monotonic(), well=status == 0)
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._serve()

    def _serve(self) -> None:
        try:
            if not self._declared:
                self._declare()
                self._declared = True
            self._disks.turn()
        except Refused as error:
            say(f"{error}", "warning")
        if self._order.complete and not self._reported:
            self._reported = True
            say(f"Node {self._site.name} runs pods.")

    def _declare(self) -> None:
        out = set(self._settings.each("disable"))
        if "coredns" not in out:
            self._api.apply(objects.services(names(Path("/etc/hosts").read_text()), self._site.dns))
        if "local-storage" not in out:
            self._disks.declare()


def names(hosts: str) -> dict[str, str]:
    """Return name -> address of a hosts file, without loopback: what pods find under the names that the server knows.

    >>> names("127.0.0.1 localhost\\n198.19.77.1 github.com # of the world\\n::1 localhost\\n")
    {'github.com': '198.19.77.1'}
    """
    rows = [line.partition("#")[0].split() for line in hosts.splitlines()]
    return {name: row[0] for row in rows if row and not row[0].startswith(("127.", ":")) for name in row[1:]}
