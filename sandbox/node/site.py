"""The settings for a node's programs: its name, its addresses, and where their files lie as they see them.

Standard library only: the stand-in of k3s brings this and the files that need it into its server.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """`pods`, `services`: ranges of addresses; `dns`: the address of the service of names.

    `keys` has the kubelet's certificate, the authority `ca.crt` that signs its callers, and a kubeconfig of each program.
    `state` keeps what programs write; `layers` are containerd's, which lie on no overlay.
    """

    name: str
    address: str
    pods: str
    services: str
    dns: str
    keys: str
    settings: str
    state: str
    layers: str
