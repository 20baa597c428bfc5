"""A host downloads as fast as its offer says: over outward names and published ports together."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.hosts.pump import CHUNK, Way
from tests.doubles.emulated import Login

MBPS = 80
MEBIBYTE = 1 << 20


@pytest.fixture
def source():
    """A service of the machine that sends a MiB to whoever connects, then closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.sendall(bytes(MEBIBYTE))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def megabits_a_second(login, connections):
    program = (
        "import socket,threading,time\n"
        "def get():\n"
        " s=socket.create_connection(('source.internal',80)); n=0\n"
        " while d:=s.recv(65536): n+=len(d)\n"
        f" assert n=={MEBIBYTE}\n"
        f"ts=[threading.Thread(target=get) for _ in range({connections})]\n"
        "t=time.monotonic(); [x.start() for x in ts]; [x.join() for x in ts]\n"
        f"print({connections}*{MEBIBYTE}*8/1e6/(time.monotonic()-t))"
    )
    status, output = login.run(f'python3 -c "{program}"')
    assert status == 0, output
    return float(output)


@pytest.mark.host
def test_what_goes_over_the_line_is_counted_by_direction_and_known_to_the_end(make, source):
    host = make(outward={"source.internal:80": ("127.0.0.1", source)})
    before = host.traffic
    megabits_a_second(Login(host), 2)
    host.destroy()

    down, up = host.traffic.down - before.down, host.traffic.up - before.up
    # What the login itself takes comes on top.
    assert 2 * MEBIBYTE <= down < 2.1 * MEBIBYTE
    assert 0 < up < 0.1 * MEBIBYTE


@pytest.mark.host
def test_an_inward_download_runs_at_the_offers_speed(make, source):
    host = make(download_mbps=MBPS, outward={"source.internal:80": ("127.0.0.1", source)})
    login = Login(host)
    # All connections share one line. A busy machine may make it slower, nothing makes it faster.
    for connections in (1, 3):
        assert megabits_a_second(login, connections) < MBPS * 1.1
    host.fault("slow", mbps=16)
    assert megabits_a_second(login, 1) < 16 * 1.1
    host.fault("slow", on=False)
    assert host.line.to_host.bytes_per_second == MBPS * 125_000


@pytest.mark.host
@pytest.mark.parametrize("mbps", [0, 2000, 10_000])
def test_a_very_fast_line_is_let_alone(make, mbps):
    assert make(download_mbps=mbps).line.to_host.bytes_per_second is None


@given(
    rate=st.floats(1_000, 250e6),
    sizes=st.lists(st.integers(1, CHUNK), min_size=1, max_size=50),
    pauses=st.lists(st.floats(0, 0.2), min_size=50, max_size=50),
)
def test_a_line_never_carries_more_than_its_rate(rate, sizes, pauses):
    way, now = Way(rate), 0.0
    for size, pause in zip(sizes, pauses, strict=False):
        now += way.seconds_for(size, now)
        assert now * rate >= size * (1 - 1e-9)
        now += pause
    assert now >= sum(sizes) / rate * (1 - 1e-9)


def test_a_slow_line_trickles():
    assert Way(20_480).chunk() == 1024
    assert Way(200_000).chunk() == 10_000
    assert Way(None).chunk() == Way(1e9).chunk() == CHUNK
