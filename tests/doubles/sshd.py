"""A real sshd on a loopback port, with keys of its own and no login but by key; for tests of the connection itself."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
AuthorizedKeysFile {folder}/authorized
MaxStartups 100
"""


@dataclass
class Sshd:
    """Where it listens, its fingerprint, and the client key that it lets in (OpenSSH text)."""

    port: int
    host_key: str
    private_key: str
    process: subprocess.Popen[bytes]


def new_key() -> tuple[str, str]:
    """Private and public OpenSSH text of a fresh key."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


@contextlib.contextmanager
def running_sshd(folder: Path, settings: str = "") -> Iterator[Sshd]:
    """Start an sshd, with more lines of its configuration. Skips if there is none: it needs root."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None or os.getuid() != 0:
        pytest.skip("needs root and Debian's openssh-server")
    host_private, _ = new_key()
    client_private, client_public = new_key()
    (folder / "host").write_text(host_private)
    (folder / "host").chmod(0o600)
    (folder / "authorized").write_text(client_public + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder) + settings)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", program, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL
    )
    try:
        _wait_for_banner(port)
        print_key = subprocess.run(["ssh-keygen", "-lf", folder / "host"], capture_output=True, text=True, check=True)
        yield Sshd(port, print_key.stdout.split()[1], client_private, process)
    finally:
        process.kill()
        process.wait()


def _wait_for_banner(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    raise AssertionError("sshd does not answer")
