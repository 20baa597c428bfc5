"""The host's SSH server: its configuration, its key and the files that it requires.

A session has sshd's own environment. The variables of the image and of the rent call belong to the container's first
process.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

CONFIGURATION_FILE = "/etc/ssh/sshd_emulated"
PID_FILE = "/run/sshd.pid"
# A separate file: the container log holds the output of onstart and of the services.
LOG_FILE = "/run/sshd.log"
KEYS_FILE = "/root/.ssh/authorized_keys"
KEY_FILE = "/etc/ssh/ssh_host_ed25519_key"
# An absolute path: sshd starts itself again for each connection, and refuses a relative path.
COMMAND = ("/usr/sbin/sshd", "-D", "-E", LOG_FILE, "-f", CONFIGURATION_FILE)

# MaxStartups: the default drops logins beyond ten at once.
CONFIGURATION = f"""\
Port 22
ListenAddress 0.0.0.0
HostKey {KEY_FILE}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
AuthorizedKeysFile .ssh/authorized_keys
PidFile {PID_FILE}
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
MaxStartups 100
"""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class HostKey:
    """An Ed25519 host key in OpenSSH's forms; `fingerprint` is "SHA256:..." as ssh-keygen -l prints it."""

    private: str
    public: str
    fingerprint: str

    @classmethod
    def new(cls) -> "HostKey":
        """Make a fresh key."""
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
        return cls(
            private=key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
            public=public + "\n",
            fingerprint="SHA256:" + base64.b64encode(digest).decode().rstrip("="),
        )


def files(key: HostKey, authorized_keys: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return path -> (text, mode) of the files that a host's SSH server needs."""
    return {
        CONFIGURATION_FILE: (CONFIGURATION, 0o644),
        KEY_FILE: (key.private, 0o600),
        KEY_FILE + ".pub": (key.public, 0o644),
        KEYS_FILE: ("".join(f"{line}\n" for line in authorized_keys), 0o600),
        # sshd refuses a locked or unreadable account even with the right key.
        "/etc/shadow": ("root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n", 0o640),
    }


def bare(key: str) -> list[str]:
    """Return a public key's type and base64, which identify it. The comment does not count."""
    return key.split()[:2]


def with_key(lines: Iterable[str], key: str, on: bool) -> list[str]:
    """Return the lines of public keys with this key once, at the end; with on=False without it."""
    return [line for line in lines if bare(line) != bare(key)] + [key] * on


def with_other_key(text: str, key_file: str, pid_file: str) -> str:
    """Return a configuration with another host key. sshd writes its process id file once the key is in force."""
    changes = {"HostKey": key_file, "PidFile": pid_file}
    lines = [line.split(" ", 1) for line in text.splitlines()]
    return "".join(f"{word} {changes.get(word, *rest)}\n" for word, *rest in lines)


def setting(text: str, word: str) -> str:
    """Return the value of the first line of a configuration that begins with a word."""
    return next(line.split(" ", 1)[1] for line in text.splitlines() if line.split(" ", 1)[0] == word)


def exported(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a shell can name. Docker options that travel as keys are not variables."""
    return {name: value for name, value in environment.items() if NAME.fullmatch(name) and "\0" not in value}
