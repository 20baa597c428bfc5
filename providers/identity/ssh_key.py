"""Make the stack's SSH key, which opens its hosts and no other instance of the account."""

import base64
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CHECKED = slice(
    98, 106
)  # the place of the random bytes in an Ed25519 key without a passphrase (PROTOCOL.key of OpenSSH)


@dataclass(frozen=True)
class SshKey:
    """Hold an Ed25519 key in OpenSSH's form: `private` is a PEM text, `public` one line with a comment."""

    private: str = field(repr=False)
    public: str


def new_ssh_key(comment: str) -> SshKey:
    """Make a key. The comment ends the public line, so that a key on a host names its stack."""
    if not comment.isprintable() or comment != comment.strip():
        raise ValueError(f"the comment {comment!r} of an SSH key must be one line")
    return _written(Ed25519PrivateKey.generate(), comment)


def ssh_key_of(seed: bytes, comment: str) -> SshKey:
    """Return the key that follows from 32 secret bytes: the same one each time."""
    key = _written(Ed25519PrivateKey.from_private_bytes(seed), comment)
    return SshKey(_without_chance(key.private), key.public)


def _without_chance(private: str) -> str:
    """Return the PEM text with zeros for the eight random bytes by which OpenSSH checks a passphrase; there is none."""
    head, *lines, foot = private.splitlines()
    blob = base64.b64decode("".join(lines))
    text = base64.b64encode(blob[: CHECKED.start] + bytes(8) + blob[CHECKED.stop :]).decode()
    return "\n".join([head, *(text[at : at + 70] for at in range(0, len(text), 70)), foot]) + "\n"


def _written(key: Ed25519PrivateKey, comment: str) -> SshKey:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private.decode(), f"{public.decode()} {comment}")
