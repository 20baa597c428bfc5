"""The forwarder between the machine and its hosts ends whole, whatever is still open."""

import errno
import socket

import pytest

from sandbox.hosts.forwarder import Forwarder, listen
from sandbox.hosts.pump import Line


def _refused() -> tuple[int, socket.socket]:
    return errno.ECONNREFUSED, socket.socket()


@pytest.mark.filterwarnings("error")
def test_a_listener_that_nobody_closed_ends_with_the_forwarder(capfd: pytest.CaptureFixture[str]) -> None:
    forwarder, server = Forwarder(), listen()
    listener = forwarder.serve(server, _refused, Line(), host_dialled=False)

    forwarder.stop()

    assert listener.accepting is not None
    assert listener.accepting.cancelled()
    server.close()
    del listener
    assert "destroyed" not in capfd.readouterr().err
