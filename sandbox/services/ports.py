"""Chooses free TCP ports on loopback for services that cannot choose their own."""

import random
import socket

# Below Linux's range for outgoing connections, so that no connection takes a port between our look and its use.
LOWEST, HIGHEST = 20000, 32000
LOOPBACK = "127.0.0.1"


def free(port: int) -> bool:
    """Return whether a listener can bind this port of loopback right now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose(count: int) -> list[int]:
    """Return `count` different free ports. Another process may still take one; then the caller tries again."""
    chosen: set[int] = set()
    while len(chosen) < count:
        port = random.SystemRandom().randrange(LOWEST, HIGHEST)
        if free(port):
            chosen.add(port)
    return list(chosen)
