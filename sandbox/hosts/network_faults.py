"""Faults of a host's network line and of its ports."""

from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.spec import SSH_PORT


def ssh_closed(host: NamespaceHost, *, on: bool = True) -> None:
    """Refuse connections to the SSH port."""
    _close(host, [SSH_PORT], on)


def gate_closed(host: NamespaceHost, *, on: bool = True) -> None:
    """Refuse connections to every published port but the SSH port."""
    _close(host, [port for port in host.ports if port != SSH_PORT], on)


def moved_ports(host: NamespaceHost, *, on: bool = True) -> None:
    """Publish every port under another number from now on. Nothing can undo this, so mending does nothing."""
    if on:
        host.move_ports()


def slow(host: NamespaceHost, *, on: bool = True, mbps: float = 1.0) -> None:
    """Download at `mbps` Mbit/s instead of the machine's own speed."""
    host.set_speed(mbps if on else host.spec.download_mbps)


def silent(host: NamespaceHost, *, on: bool = True) -> None:
    """Accept connections and carry no byte."""
    host.line.blackhole = on


def dead_link(host: NamespaceHost, *, on: bool = True, kib: int = 256) -> None:
    """Let the whole line go dead after one connection has brought so many KiB to the host."""
    host.line.dead_after = kib * 1024 if on else None
    host.line.blackhole = False


def cut_link(host: NamespaceHost, *, on: bool = True, kib: int = 256) -> None:
    """Cut each connection after it has brought so many KiB to the host."""
    host.line.cut_download_after = kib * 1024 if on else None


def _close(host: NamespaceHost, ports: list[int], on: bool) -> None:
    for port in ports:
        if on:
            host.close_port(port)
        else:
            host.open_port(port)


FAULTS = (ssh_closed, gate_closed, moved_ports, slow, silent, dead_link, cut_link)
