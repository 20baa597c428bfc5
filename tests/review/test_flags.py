"""An edit of who reaches the stack's own cluster and its controller is named, and never followed."""

from typing import Any

import pytest

from tests.config.test_cluster import CLUSTER
from tests.doubles.reviewed_repository import SECURE, Repository
from tests.doubles.reviewing import reviewed


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (
            "cluster.apiUrl",
            "https://evil.example/v1",
            "cluster.apiUrl https://api.hetzner.cloud/v1 → https://evil.example/v1",
        ),
        ("cluster.k3s.url", "https://evil.example/k3s", "cluster.k3s.url none → https://evil.example/k3s"),
        (
            "cluster.backups",
            {"endpoint": "https://evil.example"},
            "cluster.backups.endpoint none → https://evil.example",
        ),
        (
            "cluster.adminCidrs",
            ["203.0.113.0/24"],
            "cluster.adminCidrs.0 198.51.100.7/32 → 203.0.113.0/24: from there, SSH",
        ),
        (
            "controller.kubernetes.clientNetworks",
            ["203.0.113.0/24"],
            "controller.kubernetes.clientNetworks.0 none → 203.0.113.0/24: from there, the controller's API is reached",
        ),
    ],
)
def test_who_reaches_the_stacks_own_cluster_is_flagged(
    path: str, value: Any, says: str, repository: Repository
) -> None:
    for key in ("hcloudToken", "backupAccessKey", "backupSecretKey"):
        repository.set(key, SECURE)
    repository.set("cluster", CLUSTER)
    repository.set("controller", {"backend": "s3://b/p", "kubernetes": {"image": "example/c:1"}})
    repository.write_config()
    base = repository.commit()
    repository.set(path, value)
    repository.write_config()

    [found] = reviewed(repository, base).flagged

    assert found.startswith(says)
