"""Make the stack's SSH key, which opens its hosts and no other instance of the account."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class SshKey:
    """Hold an Ed25519 key in OpenSSH's form: `private` is a PEM text, `public` one line with a comment."""

    private: str = field(repr=False)
    public: str


def new_ssh_key(comment: str) -> SshKey:
    """Make a key. The comment ends the public line, so that a key on a host names its stack."""
    if not comment.isprintable() or comment != comment.strip():
        raise ValueError(f"the comment {comment!r} of an SSH key must be one line")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private.decode(), f"{public.decode()} {comment}")
