"""A host over SSH: the only place that knows paramiko.

The host key is pinned by its fingerprint and compared before anything of ours is sent; commands carry no secret; every wait
goes through the clock, so that a vanished engine is noticed within a second also during long commands. A host that is
frozen or cut off sends no end of the connection, so it is asked for a sign of life while a command runs. What the host's
shell says around a command is left out of its outputs, see marking.py.
"""

import base64
import contextlib
import hashlib
import io
import logging
import posixpath
import secrets
import shlex
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

import paramiko

from bootstrap.clock import Clock
from bootstrap.errors import HostKeyMismatch, HostLost, HostUnreachable, OtherHostKey, StepFailed
from bootstrap.host import Result
from bootstrap.interruptible import begin, patiently
from bootstrap.shell_marks import began, marked, within

USER = "root"
HANDSHAKE_SECONDS = 15.0
RETRY_SECONDS = 1.0
REFUSED_SECONDS = 60.0  # between two words about a key that is not let in
PULSE_SECONDS = 10.0  # between two questions for a sign of life
SILENCE_SECONDS = 30.0  # without an answer to one, the host is lost
SIGN_SECONDS = 60.0  # between two signs that the host is worked on
FIRST_POLL, LONGEST_POLL = 0.01, 0.2
CHUNK = 32768
LOST = (OSError, EOFError, paramiko.SSHException)


def connect(
    address: str,
    port: int,
    private_key: str,
    host_key: str,
    clock: Clock,
    deadline_seconds: float,
    say: Callable[[str, str], None],
    refused: Callable[[str], None] = lambda _public_key: None,
    *,
    also: Sequence[str] = (),
    sign: str = "",
) -> "SshHost":
    """Log in as root, trying again until the deadline: "running" does not mean that sshd answers yet.

    `private_key` is OpenSSH text, and so is each of `also`, which are tried after it; `host_key` the pinned fingerprint
    `SHA256:...`. `refused` is called with our public key, an
    OpenSSH line, when the host does not know it, at most once a minute. `sign` is a command that is run on the host once a
    minute while it is worked on. Raises HostUnreachable, and OtherHostKey at once, before authentication.
    """
    # Its threads would print tracebacks of what is an error of ours already.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    keys = [paramiko.Ed25519Key.from_private_key(io.StringIO(text)) for text in dict.fromkeys((private_key, *also))]
    began = clock.monotonic()
    cause = "no attempt was made"
    told = float("-inf")
    while True:
        try:
            transport = patiently(partial(_handshake, address, port, host_key), clock, 3 * HANDSHAKE_SECONDS)
        except HostKeyMismatch:
            raise
        except LOST as error:
            cause = f"{type(error).__name__}: {error}"
        else:
            try:
                patiently(partial(_log_in, transport, keys), clock, 2 * HANDSHAKE_SECONDS)
            except LOST as error:
                transport.close()
                cause = f"{type(error).__name__}: {error}"
                if isinstance(error, paramiko.AuthenticationException):
                    ours = "our key" if len(keys) == 1 else f"any of our {len(keys)} keys"
                    cause = f"it shows the pinned host key and does not accept {ours}: {cause}"
                if isinstance(error, paramiko.AuthenticationException) and clock.monotonic() - told > REFUSED_SECONDS:
                    told = clock.monotonic()
                    refused(public_line(private_key))
            else:
                say("connect", f"{USER}@{address}:{port} after {clock.monotonic() - began:.1f} s, host key as pinned")
                return SshHost(transport, clock, f"{address}:{port}", sign)
        waited = clock.monotonic() - began
        if waited >= deadline_seconds:
            raise HostUnreachable(f"SSH at {address}:{port} does not let us in after {waited:.0f} s ({cause})")
        clock.sleep(RETRY_SECONDS)


def public_line(private_key: str) -> str:
    """Return the OpenSSH line of a private key's public half, without a comment."""
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(private_key))
    return f"{key.get_name()} {key.get_base64()}"


def fingerprint(key: paramiko.PKey) -> str:
    """Return a host key's fingerprint as OpenSSH prints it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


class SshHost:
    """An open connection; satisfies `host.Host`."""

    def __init__(self, transport: paramiko.Transport, clock: Clock, name: str, sign: str = "") -> None:
        self._transport = transport
        self._clock = clock
        self._name = name
        self._sign = sign
        self._signed = clock.monotonic()
        self._pulse: Future[object] | None = None
        self._asked = clock.monotonic()

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        """Run a shell command to its end."""
        deadline = self._clock.monotonic() + timeout
        mark = secrets.token_hex(8)
        self._give_a_sign()
        try:
            channel = patiently(self._transport.open_session, self._clock, SILENCE_SECONDS)
            with contextlib.closing(channel):
                patiently(partial(channel.exec_command, marked(command, mark)), self._clock, SILENCE_SECONDS)
                raw = self._until_exit(channel, command, memoryview(stdin), deadline)
        except LOST as error:
            raise HostLost(f"the connection to {self._name} ended: {type(error).__name__} {error}") from error
        if not began(raw.stdout, mark):
            raise StepFailed(
                f"{self._name}: its login shell ran no command of ours (status {raw.status}): {raw.tail()}"
            )
        return Result(raw.status, within(raw.stdout, mark), within(raw.stderr, mark))

    def put(self, data: bytes, path: str, mode: int) -> None:
        """Write a file whole; the content travels on stdin."""
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
        # Input and output take turns: a command that answers while it reads would otherwise wait for us, and we for it.
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
            self._still(command, deadline, out + err)
            self._clock.sleep(poll)
            poll = min(LONGEST_POLL, poll * 1.25)
        status = channel.recv_exit_status()
        if status < 0:
            raise HostLost(f"the connection to {self._name} ended while it worked")
        return Result(status, _text(out), _text(err))

    def _still(self, command: str, deadline: float, so_far: bytearray) -> None:
        if not self._transport.is_active():
            raise HostLost(f"the connection to {self._name} ended while it worked")
        self._demand_a_pulse()
        self._give_a_sign()
        if self._clock.monotonic() > deadline:
            what = command.split("\n", 1)[0][:80]
            raise StepFailed(f"{self._name}: `{what}` did not end in time: {_text(so_far)[-500:]}")

    def _give_a_sign(self) -> None:
        """Run the sign's command beside what runs. One that fails is not missed: the next comes in a minute."""
        now = self._clock.monotonic()
        if self._sign and now - self._signed >= SIGN_SECONDS:
            self._signed = now
            begin(partial(_execute, self._transport, self._sign))

    def _demand_a_pulse(self) -> None:
        now = self._clock.monotonic()
        if self._pulse is not None and self._pulse.done():
            self._pulse = None
        if self._pulse is None and now - self._asked > PULSE_SECONDS:
            self._asked = now
            self._pulse = begin(partial(self._transport.global_request, "keepalive@openssh.com"))
        if self._pulse is not None and now - self._asked > SILENCE_SECONDS:
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


def _handshake(address: str, port: int, host_key: str) -> paramiko.Transport:
    connection = socket.create_connection((address, port), timeout=HANDSHAKE_SECONDS)
    transport = paramiko.Transport(connection)
    try:
        transport.banner_timeout = HANDSHAKE_SECONDS
        transport.auth_timeout = HANDSHAKE_SECONDS
        transport.get_security_options().key_types = ("ssh-ed25519",)
        transport.start_client(timeout=HANDSHAKE_SECONDS)
        _compare(fingerprint(transport.get_remote_server_key()), host_key, f"{address}:{port}")
    except BaseException:
        transport.close()
        raise
    return transport


def _log_in(transport: paramiko.Transport, keys: Sequence[paramiko.PKey]) -> None:
    """Log in with the first of the keys that the host accepts. Raises the last refusal."""
    for number, key in enumerate(keys, 1):
        try:
            transport.auth_publickey(USER, key)
        except paramiko.AuthenticationException:
            if number == len(keys) or not transport.is_active():
                raise
        else:
            return


def _compare(found: str, pinned: str, name: str) -> None:
    if found != pinned:
        raise OtherHostKey(
            f"SSH at {name} shows host key {found}, but the instance's log named {pinned}. "
            "Somebody else may be answering there; nothing was sent."
        )


def _text(data: bytearray) -> str:
    return bytes(data).decode(errors="replace")
