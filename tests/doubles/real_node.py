"""What tests of a real node share: the images of this checkout, and a pod of the project's own image."""

import os
from pathlib import Path
from typing import Any

from offline.kubernetes_plugin.cluster import Cluster
from tools.machine import paths

REPO = Path(__file__).resolve().parents[2]


def images() -> list[Path]:
    """Return the archives of this checkout's images, as set-up made them."""
    return sorted(paths.find(REPO, os.environ).node_images.glob("*.tar"))


def images_of_controller() -> list[Path]:
    """Return the archives of the controller's pods, as set-up made them on request."""
    return sorted(paths.find(REPO, os.environ).controller_images.glob("*.tar"))


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod of the project's own image that serves its files' names on port 8000."""
    container = {
        "name": "main",
        "image": "gpu-fleet-monitoring:local",
        "command": ["python", "-m", "http.server", "8000"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"automountServiceAccountToken": False, "containers": [container], **spec},
    }


def ready(cluster: Cluster, manifest: dict[str, Any]) -> bool:
    live = cluster.get(manifest) or {}
    rows = live.get("status", {}).get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)
