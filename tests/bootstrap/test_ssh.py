"""The connection to a host, against a real sshd: pinned key, deadlines, lost connections, and nothing secret in argv."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.clock import Clock, SystemClock
from bootstrap.connect import connect, public_line
from bootstrap.errors import HostKeyMismatch, HostLost, HostUnreachable, StepFailed
from bootstrap.ssh_host import SshHost
from tests.doubles.sshd import Sshd, new_key, running_sshd

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def login(
    sshd: Sshd,
    host_key: str | None = None,
    private_key: str | None = None,
    deadline: float = 10,
    clock: Clock | None = None,
) -> SshHost:
    reported: list[str] = []
    return connect(
        "127.0.0.1",
        sshd.port,
        private_key or sshd.private_key,
        host_key or sshd.host_key,
        clock or SystemClock(),
        deadline,
        lambda phase, text: reported.append(f"{phase} {text}"),
    )


@pytest.fixture
def host(sshd: Sshd) -> Iterator[SshHost]:
    with contextlib.closing(login(sshd)) as connection:
        yield connection


def test_a_command_returns_status_and_both_outputs(host: SshHost) -> None:
    result = host.run("echo out; echo err >&2; exit 3")

    assert (result.status, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_large_input_and_output_pass(host: SshHost) -> None:
    data = os.urandom(3_000_000).hex().encode()

    assert host.run("cat", data).stdout.encode() == data


def test_a_file_is_written_whole_with_its_mode(host: SshHost, tmp_path: Path) -> None:
    target = tmp_path / "folder" / "it's a file"

    host.put(b"content", str(target), 0o640)

    assert target.read_bytes() == b"content"
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_another_host_key_is_refused_before_we_authenticate(sshd: Sshd) -> None:
    with pytest.raises(HostKeyMismatch, match="nothing was sent"):
        login(sshd, host_key="SHA256:" + "A" * 43)


def test_a_key_that_is_not_let_in_ends_at_the_deadline(sshd: Sshd) -> None:
    with pytest.raises(HostUnreachable, match="Authentication"):
        login(sshd, private_key=new_key()[0], deadline=0)


def test_every_key_that_may_open_the_host_is_tried(sshd: Sshd) -> None:
    refused: list[str] = []
    other, another = new_key()[0], new_key()[0]

    def enter(first: str, *also: str) -> SshHost:
        where = ("127.0.0.1", sshd.port, first, sshd.host_key, SystemClock())
        return connect(*where, 0, lambda *_: None, refused.append, other_keys=also)

    enter(other, sshd.private_key).close()
    enter(sshd.private_key, other).close()
    assert refused == []
    with pytest.raises(HostUnreachable, match="shows the pinned host key and does not accept any of our 2 keys"):
        enter(other, another)
    assert refused == [public_line(other)]


def test_a_host_that_lost_our_key_is_let_be_known(tmp_path: Path) -> None:
    with running_sshd(tmp_path) as sshd:
        authorized = tmp_path / "authorized"
        authorized.write_text("")
        asked: list[str] = []

        def attach(public_line: str) -> None:
            asked.append(public_line)
            authorized.write_text(f"{public_line} anybody\n")

        host = connect(
            "127.0.0.1", sshd.port, sshd.private_key, sshd.host_key, SystemClock(), 10, lambda *_: None, attach
        )
        with contextlib.closing(host):
            assert host.run("echo in").stdout == "in\n"

    assert len(asked) == 1


def test_a_closed_port_ends_at_the_deadline(sshd: Sshd) -> None:
    with pytest.raises(HostUnreachable, match="does not let us in"):
        connect("127.0.0.1", 1, sshd.private_key, sshd.host_key, SystemClock(), 0, lambda *_: None)


def test_a_command_that_does_not_end_is_given_up(host: SshHost) -> None:
    with pytest.raises(StepFailed, match="did not end in time"):
        host.run("echo begun; sleep 60", timeout=0.5)


def test_a_connection_that_ends_during_a_command_is_a_lost_host(sshd: Sshd) -> None:
    host = login(sshd)
    session = host.run("echo $PPID").stdout.strip()
    threading.Timer(0.3, lambda: os.kill(int(session), signal.SIGKILL)).start()

    with pytest.raises(HostLost):
        host.run("sleep 60")


class HastyClock(SystemClock):
    """Twenty of its seconds pass in one."""

    def monotonic(self) -> float:
        return super().monotonic() * 20


def test_a_host_that_gives_no_sign_of_life_is_lost(sshd: Sshd) -> None:
    """Frozen, not closed: nothing ends the connection, and the command's own time would be up much later."""
    host = login(sshd, clock=HastyClock())
    session = int(host.run("echo $PPID").stdout)
    freeze = threading.Timer(0.2, os.kill, (session, signal.SIGSTOP))
    freeze.start()
    try:
        with pytest.raises(HostLost, match=r"no sign of life|no answer"):
            host.run("sleep 60", timeout=36_000)
    finally:
        freeze.join()
        os.kill(session, signal.SIGKILL)


def test_a_long_silent_command_is_no_lost_host(sshd: Sshd) -> None:
    with contextlib.closing(login(sshd, clock=HastyClock())) as host:
        assert host.run("sleep 2.5; echo done", timeout=36_000).stdout == "done\n"


def test_a_sign_is_given_while_a_command_runs_and_between_commands(sshd: Sshd, tmp_path: Path) -> None:
    signs = tmp_path / "it's a sign"
    sign = f"echo given >> {shlex.quote(str(signs))}"
    given = f"[ $(cat {shlex.quote(str(signs))} 2>/dev/null | wc -l) -ge"
    host = connect(
        "127.0.0.1", sshd.port, sshd.private_key, sshd.host_key, HastyClock(), 600, lambda *_: None, heartbeat=sign
    )

    with contextlib.closing(host):
        host.run(f"until {given} 2 ]; do sleep 0.05; done", timeout=1200)
        before = len(signs.read_text().splitlines())
        while len(signs.read_text().splitlines()) == before:
            host.run("true")


class Vanishing(SystemClock):
    """A clock whose engine goes away while somebody waits."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt


def test_a_login_that_hangs_can_be_called_off(sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(KeyboardInterrupt):
        connect("127.0.0.1", silent.getsockname()[1], sshd.private_key, sshd.host_key, Vanishing(), 60, lambda *_: None)


def test_input_does_not_show_in_any_command_line(host: SshHost) -> None:
    secret = "hush-" + os.urandom(8).hex()

    listed = host.run("read -r secret; ps axww", f"{secret}\n".encode()).stdout

    assert "ps axww" in listed
    assert secret not in listed
    assert secret not in subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
