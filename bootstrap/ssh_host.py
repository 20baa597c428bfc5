"""Run commands and put files on a host over an open SSH connection.

Commands carry no secret. Every wait goes through the clock, so that a vanished engine is noticed within a second also
during long commands. A frozen or cut-off host does not close the connection, so that a running command is accompanied by
questions for a sign of life. Output that the host's shell prints around a command is removed, see shell_marks.py.
"""

import contextlib
import posixpath
import secrets
import shlex
from concurrent.futures import Future
from functools import partial

import paramiko

from bootstrap.clock import Clock
from bootstrap.errors import HostLost, StepFailed
from bootstrap.host import Result
from bootstrap.interruptible import begin, run_interruptibly
from bootstrap.shell_marks import began, marked, within

KEEPALIVE_SECONDS = 10.0  # between two questions for a sign of life
SILENCE_SECONDS = 30.0  # without an answer, then the host is lost
HEARTBEAT_SECONDS = 60.0  # between two heartbeats
FIRST_POLL, LONGEST_POLL = 0.01, 0.2
CHUNK = 32768
LOST = (OSError, EOFError, paramiko.SSHException)


class SshHost:
    """Hold an open connection; satisfies `host.Host`. `heartbeat`: see `connect`."""

    def __init__(self, transport: paramiko.Transport, clock: Clock, name: str, heartbeat: str = "") -> None:
        self._transport = transport
        self._clock = clock
        self._name = name
        self._heartbeat = heartbeat
        self._last_heartbeat = clock.monotonic()
        self._keepalive: Future[object] | None = None
        self._asked = clock.monotonic()

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        """Run a shell command to its end. Raises StepFailed after `timeout` seconds, HostLost."""
        deadline = self._clock.monotonic() + timeout
        mark = secrets.token_hex(8)
        self._send_heartbeat()
        try:
            channel = run_interruptibly(self._transport.open_session, self._clock, SILENCE_SECONDS)
            with contextlib.closing(channel):
                run_interruptibly(partial(channel.exec_command, marked(command, mark)), self._clock, SILENCE_SECONDS)
                raw = self._until_exit(channel, command, memoryview(stdin), deadline)
        except LOST as error:
            raise HostLost(f"the connection to {self._name} ended: {type(error).__name__} {error}") from error
        if not began(raw.stdout, mark):
            raise StepFailed(
                f"{self._name}: its login shell ran no command of ours (status {raw.status}): {raw.tail()}"
            )
        return Result(raw.status, within(raw.stdout, mark), within(raw.stderr, mark))

    def put(self, data: bytes, path: str, mode: int) -> None:
        """Write a file whole; the content travels on stdin. Raises StepFailed, HostLost."""
        folder, part = shlex.quote(posixpath.dirname(path)), shlex.quote(path + ".part")
        command = (
            f"umask 077; mkdir -p {folder} && cat > {part} && chmod {mode:o} {part} && mv {part} {shlex.quote(path)}"
        )
        result = self.run(command, data)
        if result.status != 0:
            raise StepFailed(f"{self._name}: {path} could not be written: {result.tail()}")

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def _until_exit(self, channel: paramiko.Channel, command: str, stdin: memoryview, deadline: float) -> Result:
        # Write and read in turn: a command that prints while it reads would otherwise wait for us, and we for it.
        out, err = bytearray(), bytearray()
        poll = FIRST_POLL
        open_for_input = True
        while True:
            ended = channel.exit_status_ready()
            before = len(out) + len(err) - len(stdin)
            while stdin and not ended and channel.send_ready():
                stdin = stdin[channel.send(bytes(stdin[:CHUNK])) :]
            if open_for_input and not stdin:
                channel.shutdown_write()
                open_for_input = False
            _drain(channel, out, err)
            if len(out) + len(err) - len(stdin) > before:
                poll = FIRST_POLL
                continue
            if ended:
                break
            self._check(command, deadline, out + err)
            self._clock.sleep(poll)
            poll = min(LONGEST_POLL, poll * 1.25)
        status = channel.recv_exit_status()
        if status < 0:
            raise HostLost(f"the connection to {self._name} ended while it worked")
        return Result(status, _text(out), _text(err))

    def _check(self, command: str, deadline: float, so_far: bytearray) -> None:
        if not self._transport.is_active():
            raise HostLost(f"the connection to {self._name} ended while it worked")
        self._require_keepalive()
        self._send_heartbeat()
        if self._clock.monotonic() > deadline:
            first_line = command.split("\n", 1)[0][:80]
            raise StepFailed(f"{self._name}: `{first_line}` did not end in time: {_text(so_far)[-500:]}")

    def _send_heartbeat(self) -> None:
        """Run the heartbeat command beside the running one, once a minute. A failure is ignored: the next one follows."""
        now = self._clock.monotonic()
        if self._heartbeat and now - self._last_heartbeat >= HEARTBEAT_SECONDS:
            self._last_heartbeat = now
            begin(partial(_execute, self._transport, self._heartbeat))

    def _require_keepalive(self) -> None:
        """Ask for a sign of life every KEEPALIVE_SECONDS. Raises HostLost after SILENCE_SECONDS without an answer."""
        now = self._clock.monotonic()
        if self._keepalive is not None and self._keepalive.done():
            self._keepalive = None
        if self._keepalive is None and now - self._asked > KEEPALIVE_SECONDS:
            self._asked = now
            self._keepalive = begin(partial(self._transport.global_request, "keepalive@openssh.com"))
        if self._keepalive is not None and now - self._asked > SILENCE_SECONDS:
            self.close()
            raise HostLost(f"{self._name} gave no sign of life for {SILENCE_SECONDS:.0f} s while it worked")


def _execute(transport: paramiko.Transport, command: str) -> None:
    with contextlib.closing(transport.open_session(timeout=SILENCE_SECONDS)) as channel:
        channel.exec_command(f"exec sh -c {shlex.quote(command)}")
        channel.recv_exit_status()


def _drain(channel: paramiko.Channel, out: bytearray, err: bytearray) -> None:
    while channel.recv_ready():
        out += channel.recv(65536)
    while channel.recv_stderr_ready():
        err += channel.recv_stderr(65536)


def _text(data: bytearray) -> str:
    return bytes(data).decode(errors="replace")
