"""Which cluster a kubeconfig may lead the stand-in to: the sandbox's own, and those of its emulated servers."""

import ipaddress

import httpx

from providers.kubeconfig import KubeconfigError, reach

__all__ = ["TOKEN", "KubeconfigError", "reach", "refuse_others"]

TOKEN = "sandbox-cluster-token"  # public by design: it marks the sandbox's cluster
SERVERS = ipaddress.ip_network(
    "127.96.0.0/11"
)  # public addresses of the emulated Hetzner; no real cluster listens there
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def refuse_others(client: httpx.Client) -> None:
    """Raise KubeconfigError unless the client leads to the sandbox's own cluster: this is no plugin for a real one."""
    host = client.base_url.host
    if _is_emulated(host):
        return
    if host not in LOOPBACK or client.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise KubeconfigError(
            f"{host} is not the sandbox's cluster, and this plugin only stands in for Pulumi's own there. For a real stack "
            'run `eval "$(make -s env STACK=<stack>)"`: Pulumi then brings its own kubernetes plugin'
        )


def _is_emulated(host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in SERVERS
    except ValueError:
        return False
