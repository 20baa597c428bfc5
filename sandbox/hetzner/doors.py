"""Ports of public addresses on loopback: each carries connections, or swallows them as a firewall does."""

import contextlib
import socket
from dataclasses import dataclass

from sandbox.hosts.forwarder import Dial, Forwarder, Listener, listen
from sandbox.hosts.pump import Line

Place = tuple[str, int]  # address, port


@dataclass
class _Silent:
    """A port whose queue of connections is full, so that the kernel drops each new one without an answer."""

    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        for one in self.sockets:
            one.close()


class Doors:
    """The open and silent ports. Not thread-safe; the project's lock is held."""

    def __init__(self, forwarding: Forwarder) -> None:
        self._forwarding = forwarding
        self._open: dict[Place, Listener] = {}
        self._silent: dict[Place, _Silent] = {}

    def open(self, place: Place, dial: Dial) -> None:
        """Carry each connection to the one that `dial` opens. Raises OSError if the port is taken."""
        if place not in self._open:
            self.close(place)
            server = listen(place[1], place[0])
            self._open[place] = self._forwarding.serve(server, dial, Line(), host_dialled=False)

    def silence(self, place: Place) -> None:
        """Answer no connection from now on, and cut the open ones. Raises OSError if the port is taken."""
        if place not in self._silent:
            self.close(place)
            self._silent[place] = _silent(place)

    def close(self, place: Place) -> None:
        """Refuse connections from now on, and cut the open ones. Harmless if the port is not open."""
        if place in self._open:
            self._forwarding.close(self._open.pop(place))
        if place in self._silent:
            self._silent.pop(place).close()

    def close_all(self) -> None:
        """Close every port."""
        for place in [*self._open, *self._silent]:
            self.close(place)


def is_free(place: Place) -> bool:
    """Say whether a port can be listened on."""
    try:
        listen(place[1], place[0]).close()
    except OSError:
        return False
    return True


def _silent(place: Place) -> _Silent:
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(place)
    server.listen(0)
    filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    filler.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        filler.connect(place)
    return _Silent((server, filler))
