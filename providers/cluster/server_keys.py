"""Derive the secrets of a stack's server from the stack's identity, so that a server made anew has the same ones.

So the pinned host key holds for it, its k3s opens the snapshots of the last server, and the cluster accepts it as the node
of that name.
"""

import base64
import hashlib
from dataclasses import dataclass, field

from providers.identity.ssh_key import SshKey, ssh_key_of
from providers.identity.tokens import seed_for

COMMENT = "gpu-fleet-cluster"


@dataclass(frozen=True)
class ServerKeys:
    """The secrets of the server.

    `host`: its SSH host key; `token`: k3s' server token, which encrypts the secret part of each snapshot;
    `node_password`: with it the node proves to the cluster that it is the node of its name.
    """

    host: SshKey
    token: str = field(repr=False)
    node_password: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """The host key's fingerprint as OpenSSH prints it."""
        digest = hashlib.sha256(base64.b64decode(self.host.public.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def server_keys(token_secret: str) -> ServerKeys:
    """Return the secrets. Raises ValueError for a token secret that was edited."""
    return ServerKeys(
        host=ssh_key_of(seed_for(token_secret, "host-key"), COMMENT),
        token=seed_for(token_secret, "token").hex(),
        node_password=seed_for(token_secret, "node-password").hex()[:32],
    )
