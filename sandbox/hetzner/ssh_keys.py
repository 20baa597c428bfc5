"""SSH keys of a project."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

from sandbox.hetzner.bodies import NewSshKey
from sandbox.hetzner.errors import HetznerError, invalid_field
from sandbox.hetzner.project import Project, Resource


@dataclass
class SshKey(Resource):
    """A public key. `fingerprint` is MD5, as the API has it."""

    public_key: str = ""
    fingerprint: str = ""

    KIND = "ssh_key"
    CAN_BE_PROTECTED = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {**self.common(), "public_key": self.public_key, "fingerprint": self.fingerprint}


def create(project: Project, body: NewSshKey) -> dict[str, Any]:
    """Add a key. Raises HetznerError for one that is there already, or that is none."""
    fingerprint = fingerprint_of(body.public_key)
    if any(one.fingerprint == fingerprint for one in project.all(SshKey)):
        raise HetznerError(
            "uniqueness_error",
            "SSH key not unique",
            {"fields": [{"name": "public_key", "messages": ["already in use"]}]},
        )
    one = SshKey(project.number(), body.name, body.labels, project.now, False, body.public_key, fingerprint)
    project.add(one)
    return {"ssh_key": one.to_json()}


def fingerprint_of(public_key: str) -> str:
    """Return the MD5 fingerprint of a public key in OpenSSH's form. Raises HetznerError."""
    words = public_key.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        raise invalid_field("public_key", "not a valid SSH public key") from None
    if blob[4 : 4 + int.from_bytes(blob[:4], "big")] != words[0].encode():
        raise invalid_field("public_key", "not a valid SSH public key")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[place : place + 2] for place in range(0, 32, 2))
