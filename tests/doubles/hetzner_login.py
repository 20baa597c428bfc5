"""Logins to emulated servers, and the user data that lets one in."""

import base64
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.doubles.until import until


@dataclass(frozen=True)
class Pair:
    """A fresh key in OpenSSH's forms."""

    private: str
    public: str

    @classmethod
    def new(cls) -> "Pair":
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return cls(private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


class Login:
    """A login to root, with a host key that must be this one."""

    def __init__(self, address: str, own: Pair, host: Pair) -> None:
        self._ssh = paramiko.SSHClient()
        kind, blob = host.public.split()[:2]
        self._ssh.get_host_keys().add(address, kind, paramiko.Ed25519Key(data=base64.b64decode(blob)))
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(own.private))
        self._ssh.connect(address, 22, "root", pkey=key, allow_agent=False, look_for_keys=False, timeout=10)

    def run(self, command: str, status: int = 0, given: str = "") -> str:
        """Run a command with `given` on its standard input, and return its output."""
        to, out, error = self._ssh.exec_command(command, timeout=180)
        to.write(given)
        to.channel.shutdown_write()
        text = out.read().decode() + error.read().decode()
        ended = out.channel.recv_exit_status()
        assert ended == status, f"{command}: status {ended}: {text}"
        return text.strip()

    def close(self) -> None:
        self._ssh.close()


def enter(address: str, own: Pair, host: Pair) -> Login:
    """Log in as soon as the server answers. A wrong host key raises at once."""

    def try_once() -> Login | None:
        try:
            return Login(address, own, host)
        except paramiko.BadHostKeyException:
            raise
        except (OSError, EOFError, paramiko.SSHException):
            return None

    found = until(try_once, "a login")
    assert found is not None
    return found


@contextlib.contextmanager
def login(address: str, own: Pair, host: Pair) -> Iterator[Login]:
    """Log in for a while."""
    found = enter(address, own, host)
    yield found
    found.close()


def user_data(own: Pair, host: Pair, rest: str = "") -> str:
    """Return a cloud-config that lets `own` in, has `host` as the host's key, and ends with `rest`."""
    private = host.private.strip().replace("\n", "\n    ")
    return f"""#cloud-config
ssh_authorized_keys: ["{own.public}"]
ssh_deletekeys: true
ssh_keys:
  ed25519_private: |
    {private}
  ed25519_public: {host.public}
{rest}"""
