"""Write the cloud-init user data of the cluster's server, pure. cloud-init reads it once, at the first start.

It brings the host key, the login and the programs, which must be there before the first login. Hetzner keeps user data
readable in the metadata service for as long as the server lives. So the host key is its only secret; k3s gets its own over
SSH.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.cluster import K3sConfig
from providers.identity.ssh_key import SshKey

MOST_BYTES = 32 * 1024  # of user data at Hetzner
FILES = Path(__file__).parent / "server_files"
VOLUME = "/var/lib/gpu-fleet/volume"
NODE_FILE, PROGRAM = "/etc/gpu-fleet/node.json", "/usr/local/sbin/gpu-fleet-node"
PACKAGES = ("nftables", "unattended-upgrades")
WRITTEN = {  # path on the server: our file, its mode
    PROGRAM: ("node.py", "0755"),
    "/etc/systemd/system/k3s.service": ("k3s.service", "0644"),
    "/etc/systemd/system/gpu-fleet-metadata.service": ("gpu-fleet-metadata.service", "0644"),
    "/etc/gpu-fleet/metadata.nft": ("metadata.nft", "0644"),
    "/etc/apt/apt.conf.d/20auto-upgrades": ("20auto-upgrades", "0644"),
    "/etc/apt/apt.conf.d/52gpu-fleet-upgrades": ("52gpu-fleet-upgrades", "0644"),
}


@dataclass(frozen=True)
class FirstStart:
    """The facts that a server gets at its first start.

    `host_key` becomes its own; `login`: the public key, an OpenSSH line, that may log in as root; `device`: path of its
    volume, which may be attached later.
    """

    host_key: SshKey
    login: str
    k3s: K3sConfig
    device: str


def node_file(k3s: K3sConfig, device: str) -> str:
    """Return the text of node.json, which says to the server's own program which k3s, volume and packages it needs."""
    wanted = {
        "k3s": {"url": k3s.source, "sha256": k3s.sha256},
        "volume": {"device": device, "mount": VOLUME},
        "packages": list(PACKAGES),
    }
    return json.dumps(wanted, indent=1) + "\n"


def user_data(start: FirstStart) -> str:
    """Return the user data. Raises ValueError if it is larger than Hetzner takes."""
    files = [_file(path, (FILES / name).read_text(), mode) for path, (name, mode) in WRITTEN.items()]
    document = {
        "disable_root": False,
        "ssh_pwauth": False,
        "users": [],  # root alone; by default cloud-init makes a user for logins
        "ssh_authorized_keys": [start.login],
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": start.host_key.private, "ed25519_public": start.host_key.public},
        "write_files": [_file(NODE_FILE, node_file(start.k3s, start.device), "0644"), *files],
        "runcmd": [[PROGRAM, "prepare"]],
    }
    text = "#cloud-config\n" + json.dumps(document, indent=1) + "\n"  # JSON is YAML
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"the server's user data has {len(text.encode())} bytes, and Hetzner takes {MOST_BYTES}")
    return text


def _file(path: str, content: str, mode: str) -> dict[str, Any]:
    return {"path": path, "content": content, "permissions": mode, "owner": "root:root"}
