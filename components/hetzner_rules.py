"""Give the stack's own cluster its firewall rules, its name at Hetzner, and the place of its snapshots. Pure."""

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from config.cluster import ClusterConfig
from config.stack import StackConfig
from config.store import StoreConfig

if TYPE_CHECKING:
    from providers.cluster.server_keys import ServerKeys

SSH_PORT, API_PORT = 22, 6443
EVERYWHERE = ["0.0.0.0/0", "::/0"]


def firewall_rules(cluster: ClusterConfig, *, reports: bool, clients: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the traffic that may come in from outside; Hetzner drops all else.

    `reports`: hosts reach the receiver at the server. `clients`: networks that reach the controller's API there.
    """
    admins = list(cluster.admin_cidrs)
    rules: list[dict[str, Any]] = [
        {"direction": "in", "protocol": "tcp", "port": str(SSH_PORT), "source_ips": admins, "description": "SSH"},
        {
            "direction": "in",
            "protocol": "tcp",
            "port": str(API_PORT),
            "source_ips": admins,
            "description": "Kubernetes",
        },
        {"direction": "in", "protocol": "icmp", "source_ips": EVERYWHERE, "description": "ping, path MTU"},
    ]
    if reports and not cluster.load_balancer:
        port = str(cluster.receiver_port)
        rules.append(
            {"direction": "in", "protocol": "tcp", "port": port, "source_ips": EVERYWHERE, "description": "receiver"}
        )
    if clients and cluster.api_port:
        port = str(cluster.api_port)
        rules.append(
            {
                "direction": "in",
                "protocol": "tcp",
                "port": port,
                "source_ips": list(clients),
                "description": "controller's API",
            }
        )
    return rules


def clients_of(stack: StackConfig) -> Sequence[str]:
    """Return the networks from which clients reach the controller's API at the stack's own server; none if it is closed."""
    controller = stack.cluster_controller
    return controller.client_networks if controller and stack.cluster and stack.cluster.api_port else ()


def default_name(stack: str) -> str:
    """Return the name of a stack's cluster at Hetzner: a host's name, of 50 characters at most."""
    return f"gpu-fleet-{re.sub(r'[^a-z0-9]+', '-', stack.lower()).strip('-')}"[:50].strip("-")


def key_name(cluster: str, public_key: str) -> str:
    """Return the name of the SSH key at Hetzner; another key has another name."""
    return f"{cluster}-{hashlib.sha256(public_key.encode()).hexdigest()[:8]}"


def backups_of(cluster: ClusterConfig, store: StoreConfig, stack_id: Any) -> dict[str, Any]:
    """Return the schedule and the bucket of snapshots. `stack_id`: a text or an output of the engine."""
    own = cluster.backups
    rhythm = {"schedule": own.schedule, "keep": own.keep}
    if not own.enabled:
        return rhythm
    return {
        **rhythm,
        "endpoint": own.endpoint or store.host_endpoint or store.endpoint,
        "ownEndpoint": own.endpoint or store.endpoint,
        "region": own.region or store.region,
        "bucket": own.bucket or store.bucket,
        "stackId": stack_id,
    }


def keys_of(token_secret: str) -> "ServerKeys":
    """Return the secrets of the stack's server."""
    from providers.cluster.server_keys import server_keys  # noqa: PLC0415 -- cryptography, once the secret is known

    return server_keys(token_secret)


def first_start(keys: "ServerKeys", login: str, cluster: ClusterConfig, device: str) -> str:
    """Return the server's user data."""
    from providers.cluster.user_data import FirstStart, user_data  # noqa: PLC0415

    return user_data(FirstStart(keys.host, login, cluster.k3s, device))


def own_keys_advice(store_key: str, backup_key: str) -> str:
    """Return a warning if the server would keep the store's own key for its snapshots; else an empty text."""
    if store_key != backup_key:
        return ""
    return (
        "gpu-fleet:backupAccessKey is the store's own key. The cluster's server keeps it, so whoever breaks into the "
        "server could overwrite weights. Make a pair for the snapshots alone in Hetzner's console."
    )
