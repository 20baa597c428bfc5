"""A sandbox's node in place of the server at Hetzner: what the program then takes for the stack's own cluster."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi

from config.stack import StackConfig
from providers.cluster.resource import Certificate
from providers.identity.resource import Identity

# The two lines of the program that make the cluster, and what takes their place.
MAKES = """        from components.hetzner import make_cluster  # noqa: PLC0415 -- pulumi_hcloud, which no other stack needs

        own = make_cluster(stack, identity, source, pool.common(), store.bucket)
"""
STANDS_IN = """        from tests.doubles.own_node import own_node

        own = own_node({address!r}, stack, identity, pool.common())
"""


def program(text: str, address: str) -> str:
    """Return the project's program with the node at an address as its cluster; `text` is the program."""
    assert MAKES in text
    return text.replace(MAKES, STANDS_IN.format(address=address))


def own_node(address: str, stack: StackConfig, identity: Identity, common: pulumi.ProviderResource) -> Any:
    """Return what HetznerCluster says of itself, for the node whose kubeconfig lies beside the program."""
    assert stack.cluster is not None
    kubeconfig = pulumi.Output.secret(Path(pulumi.runtime.get_root_directory(), "kubeconfig").read_text())
    inputs = {"addresses": [address], "caKey": identity.caKey, "caCertificate": identity.caCertificate}
    shown = Certificate("api-certificate", inputs, pulumi.ResourceOptions(provider=common))
    api = pulumi.Output.from_input(f"https://{address}:{stack.cluster.api_port}")
    return SimpleNamespace(
        kubeconfig=kubeconfig, receiver=None, api=api, api_certificate=(shown.certificate, shown.key)
    )
