"""The text of a kubeconfig."""

from collections.abc import Mapping

import yaml


def kubeconfig_text(cluster: Mapping[str, object], user: Mapping[str, object]) -> str:
    """Return a kubeconfig with one cluster and one user."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "sandbox",
            "clusters": [{"name": "sandbox", "cluster": dict(cluster)}],
            "users": [{"name": "sandbox", "user": dict(user)}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        },
        sort_keys=False,
    )
