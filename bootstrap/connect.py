"""Connect to a host over SSH: compare the pinned host key, then log in as root.

Nothing of ours is sent before the host key's fingerprint matches. Every wait goes through the clock, so that a vanished
engine is noticed within a second. Only this module and ssh_host.py use paramiko.
"""

import base64
import hashlib
import io
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial

import paramiko

from bootstrap.clock import Clock
from bootstrap.errors import HostKeyMismatch, HostUnreachable, OtherHostKey
from bootstrap.interruptible import run_interruptibly
from bootstrap.services import Progress
from bootstrap.ssh_host import LOST, SshHost

USER = "root"
HANDSHAKE_SECONDS = 15.0
RETRY_SECONDS = 1.0
REFUSED_SECONDS = 60.0  # between two calls of `on_refused`


def connect(
    address: str,
    port: int,
    private_key: str,
    host_key: str,
    clock: Clock,
    deadline_seconds: float,
    report_progress: Progress,
    on_refused: Callable[[str], None] = lambda _public_key: None,
    *,
    other_keys: Sequence[str] = (),
    heartbeat: str = "",
) -> SshHost:
    """Log in as root, trying again until the deadline: a market says "running" before sshd answers.

    `private_key` is OpenSSH text. So is each of `other_keys`, which are tried after it. `host_key` is the pinned
    fingerprint `SHA256:...`. `on_refused` gets our public key, an OpenSSH line, if the host does not know it, at most
    once a minute. `heartbeat` is a command that the host runs once a minute while we work on it.
    Raises HostUnreachable, and OtherHostKey at once, before authentication.
    """
    # paramiko's threads would print tracebacks of errors that we handle.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    texts = dict.fromkeys((private_key, *other_keys))
    keys = [paramiko.Ed25519Key.from_private_key(io.StringIO(text)) for text in texts]
    began = clock.monotonic()
    cause = "no attempt was made"
    refusal_reported = float("-inf")
    while True:
        try:
            transport = run_interruptibly(partial(_handshake, address, port, host_key), clock, 3 * HANDSHAKE_SECONDS)
        except HostKeyMismatch:
            raise
        except LOST as error:
            cause = f"{type(error).__name__}: {error}"
        else:
            try:
                run_interruptibly(partial(_log_in, transport, keys), clock, 2 * HANDSHAKE_SECONDS)
            except LOST as error:
                transport.close()
                cause = f"{type(error).__name__}: {error}"
                if isinstance(error, paramiko.AuthenticationException):
                    ours = "our key" if len(keys) == 1 else f"any of our {len(keys)} keys"
                    cause = f"it shows the pinned host key and does not accept {ours}: {cause}"
                    if clock.monotonic() - refusal_reported > REFUSED_SECONDS:
                        refusal_reported = clock.monotonic()
                        on_refused(public_line(private_key))
            else:
                seconds = clock.monotonic() - began
                report_progress("connect", f"{USER}@{address}:{port} after {seconds:.1f} s, host key as pinned")
                return SshHost(transport, clock, f"{address}:{port}", heartbeat)
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
