"""Stands in for a stack's identity if none is at hand: values that change exactly if the real ones would change.

They are no keys: nothing opens with them. They serve to compare two revisions of stack config.
"""

from components.instance_inputs import OpaqueValues
from config.stack import StackConfig
from providers.identity.tokens import token_for
from providers.vast.api.label import Label

STACK_ID = "stand-in"
TOKEN_SECRET = "0" * 64
METRICS_URL = "https://receiver.invalid"
METRICS_KEY = "a stand-in for the metrics key"


def stand_ins(stack: StackConfig, instance_name: str) -> OpaqueValues:
    """Return the opaque values of one instance. The counters of `rotation` are in those that they renew."""
    rotation = stack.rotation
    return OpaqueValues(
        label=str(Label(STACK_ID, instance_name)),
        token=token_for(TOKEN_SECRET, instance_name, rotation.tokens),
        ssh_public_key=f"ssh-ed25519 {rotation.ssh}",
        ssh_private_key=f"key {rotation.ssh}",
        ca_certificate=f"certificate {rotation.ca}",
        ca_key="key",
        metrics_key=METRICS_KEY,
        metrics_url=METRICS_URL,
    )
