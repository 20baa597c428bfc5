"""The stack's own cluster under the real engine, with Pulumi's logic for Hetzner, against the emulated API.

The plugin is there if `python3 -m tools.setup --parts hcloud-plugin` built it; `make test-deep` does.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.hetzner.testing import RunningHetzner, running_hetzner
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.hcloud_plugin import NEEDS_PLUGIN, bring_plugin, cluster_stack
from tests.doubles.pulumi_stack import Engine, Stack, sandbox_config

SECRETS = {"gpu-fleet:backupAccessKey": "an access key", "gpu-fleet:backupSecretKey": "a secret key of snapshots"}
CLUSTER: dict[str, Any] = {
    "location": "fsn1",
    "adminCidrs": ["127.0.0.1/32"],
    "k3s": {"version": "v1.34.2+k3s1", "sha256": "a" * 64},
    "backups": {"enabled": False},
}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.deep,
    NEEDS_PLUGIN,
]


@pytest.fixture
def hetzner() -> Iterator[RunningHetzner]:
    with running_hetzner() as running:
        yield running


@pytest.fixture
def stack(hetzner: RunningHetzner, engine: Engine) -> Stack:
    made = cluster_stack(engine)
    write(made, hetzner)
    return made


def write(stack: Stack, hetzner: RunningHetzner, **given: Any) -> None:
    config = sandbox_config("http://127.0.0.1:1", 1, "http://127.0.0.1:2")
    config["gpu-fleet:cluster"] = {**CLUSTER, "apiUrl": hetzner.url, **given}
    config["gpu-fleet:hcloudToken"] = hetzner.token
    stack.write_config(config)


def test_the_preview_says_the_price_and_what_hetzner_would_refuse(stack: Stack, hetzner: RunningHetzner) -> None:
    shown = stack.preview("--diff")

    assert "gpu-fleet-test  8.13 EUR a month without VAT" in shown.text
    assert "PRIVATE KEY" not in shown.text
    assert hetzner.token not in shown.text
    for name in ("cluster-server", "cluster-volume", "cluster-address", "cluster-node", "cluster-kubeconfig"):
        assert name in shown.text
    assert not [kind for kind, rows in hetzner.project.resources.items() if rows]

    hetzner.project.catalog.sell_out("cx33", "fsn1")
    assert_refused(stack, "Hetzner has no cx33 left in fsn1 now; nothing was turned off or made")
    hetzner.project.catalog.restock("cx33", "fsn1")
    hetzner.project.tokens[hetzner.token] = False
    assert_refused(
        stack, "token is only allowed to perform GET requests (token_readonly). Check gpu-fleet:hcloudToken."
    )
    hetzner.project.tokens[hetzner.token] = True
    write(stack, hetzner, server="cx34")
    assert_refused(stack, "cluster.server is 'cx34', and Hetzner sells no such x86 type")


def assert_refused(stack: Stack, said: str) -> None:
    done = stack.preview(check=False)
    assert done.status
    assert said in done.text
    assert "Traceback" not in done.text
    assert json.dumps(stack.state().get("resources") or []).count("hcloud") == 0


@pytest.mark.host
def test_the_program_puts_the_cluster_before_monitoring_controller_and_fleet(
    cloud: Cloud, hetzner: RunningHetzner, engine: Engine
) -> None:
    bring_plugin(engine)
    stack = engine.stack(REPO)
    own = {**CLUSTER, "apiUrl": hetzner.url, "backups": {"enabled": True}, "apiPort": 30444}
    keys = {"metricsKey": "a metrics key of the cluster", "exporterMarketKey": "x" * 20, "hcloudToken": hetzner.token}
    keys |= {"backupAccessKey": "access", "backupSecretKey": "secret of the snapshots"}
    config = {**cloud.stack_config(), "gpu-fleet:cluster": own, "gpu-fleet:kubernetes": {"image": "example/m:1"}}
    fleets = config["gpu-fleet:fleets"]
    fleets["burst"] = {**fleets["chat"], "replicas": {"max": 2}}
    pod = {"image": "example/c:1", "clientNetworks": ["203.0.113.0/24"]}
    config["gpu-fleet:controller"] = {"backend": "s3://states/fleet", "kubernetes": pod}
    stack.write_config(config | {f"gpu-fleet:{key}": value for key, value in keys.items()})

    steps = json.loads(stack.preview("--json").stdout)["steps"]

    states = {row["urn"].rpartition("::")[2]: row["newState"] for row in steps}
    names = {
        name: {urn.rpartition("::")[2] for urn in state.get("dependencies") or []} for name, state in states.items()
    }
    assert "cluster-node" in names["chat-0"]
    assert {"cluster-volume-attachment", "bucket"} <= names["cluster-node"]
    assert "cluster-node" in names["cluster-kubeconfig"]
    assert "cluster-account" in names["cluster-server"]
    assert {"gpu-fleet-namespace", "door-certificate-secret", "prometheus-deployment"} <= names.keys()
    assert {"controller-deployment", "controller-certificate-secret", "controller-outside-service"} <= names.keys()
    assert "api-certificate" in names["controller-certificate-secret"]
    opened = {rule.get("port"): rule["sourceIps"] for rule in states["cluster-firewall"]["inputs"]["rules"]}
    assert opened["30444"] == ["203.0.113.0/24"]
    assert cloud.rented() == []
    assert not [kind for kind, rows in hetzner.project.resources.items() if rows]
