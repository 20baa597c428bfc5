"""Marks secret leaves of stack config among a resource's inputs as secrets for the engine."""

from collections.abc import Mapping
from typing import Any

import pulumi

from config.secret_leaves import SecretLeaves

PLAIN_KEYS = frozenset({"__provider"})


def sealed(value: Any, secret_leaves: SecretLeaves) -> Any:
    """Return a resource's inputs with each secret leaf as a secret output. A URL with a password in it is such a leaf."""
    if isinstance(value, Mapping):
        return {key: item if key in PLAIN_KEYS else sealed(item, secret_leaves) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [sealed(item, secret_leaves) for item in value]
    return pulumi.Output.secret(value) if secret_leaves.holds(value) else value
