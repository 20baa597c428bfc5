"""Free loopback ports for tests."""

import contextlib
import socket


def free_ports(count: int) -> list[int]:
    """Return different TCP ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]
