"""The controller of elastic fleets on the API server, by the real engine: made, changed, gone with the last elastic fleet.

By the stand-in plugin, or by Pulumi's own if it was built. No node is there, so no pod runs.
"""

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any

import pytest

from components.controller import postgres_password, read_encryption
from sandbox.services.kubernetes import Kubernetes
from tests.doubles.cluster_stack import ClusterStack, beside
from tests.doubles.pulumi_stack import Engine
from tests.doubles.until import until

pytestmark = [pytest.mark.engine, pytest.mark.monitoring, pytest.mark.xdist_group("kubernetes")]

# The part of the project's program that makes the controller's objects. As there, the first preview knows no secret yet.
PROGRAM = """
import pulumi
from components.controller import run_controller
from components.provider_pool import ProviderPool
from components.stack_config import read_program_config, seal_inputs, stack_name
from config.base import PROJECT
from config.secret_keys import SECRETS
from providers.identity.resource import Identity

config = read_program_config()
seal_inputs(config.secret_leaves)
pool = ProviderPool(PROJECT, {key: config.source.require_secret(key) for key in SECRETS})
inputs = {"rotation": config.stack.rotation.model_dump(), "stack": stack_name()}
identity = Identity("identity", inputs, pulumi.ResourceOptions(provider=pool.common()))
pulumi.export("secret", identity.tokenSecret)
if config.stack.cluster_controller:
    made = run_controller(config.stack, config.source, config.values, config.project, identity.tokenSecret)
    pulumi.export("controller", made)
"""
ACCESS_TOKEN = "pul-0123456789abcdef"
BACKEND = "s3://bucket/state"
IMAGE = f"registry.example/me/gpu-fleet-controller:1@sha256:{'a' * 64}"


@dataclass
class Controlled(ClusterStack):
    """A stack with an elastic fleet, whose controller is in a cluster of its own."""

    def write(self, replicas: Any = None, backend: str = BACKEND, **controller: Any) -> None:
        own = {"image": IMAGE, "namespace": self.namespace, "kubeconfig": "kubeconfig", "wait": False, **controller}
        self.config["gpu-fleet:fleets"]["chat"]["replicas"] = {"max": 2} if replicas is None else replicas
        made = self.stack.read_config() if (self.stack.folder / f"Pulumi.{self.stack.name}.yaml").exists() else {}
        kept = {key: value for key, value in made.items() if key == "gpu-fleet:controllerDsn"}
        self.stack.write_config(
            {**self.config, **kept, "gpu-fleet:controller": {"backend": backend, "kubernetes": own}}
        )

    def secret(self, name: str) -> dict[str, str]:
        found = self.live("v1", "Secret", name)
        assert found
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    def pod(self, name: str) -> dict[str, Any]:
        found = self.live("apps/v1", "Deployment", name)
        assert found
        return dict(found["spec"]["template"])


@pytest.fixture
def controlled(kubernetes: Kubernetes, engine: Engine) -> Controlled:
    made = Controlled(*beside(kubernetes, engine, PROGRAM), f"control-{secrets.token_hex(4)}")
    made.write()
    return made


def test_made_with_its_database_and_gone_with_the_last_elastic_fleet(controlled: Controlled) -> None:
    stack = controlled.stack
    variable = "gpu-fleet:controller.kubernetes.environment.PULUMI_ACCESS_TOKEN"
    stack.config(secret={variable: ACCESS_TOKEN})
    passphrase = stack.env["PULUMI_CONFIG_PASSPHRASE"]

    told = stack.preview("--diff").text + stack.up().text
    written = json.dumps(stack.state())
    token_secret = stack.outputs()["secret"]
    password = postgres_password(token_secret)
    assert not [one for one in (ACCESS_TOKEN, token_secret, password) if one in told + written]
    assert stack.outputs()["controller"] == {
        "namespace": controlled.namespace,
        "reach": f"kubectl --namespace {controlled.namespace} port-forward service/controller 8080",
    }
    keys = controlled.secret("controller-keys")
    assert keys.pop("GPU_FLEET_DSN").endswith(f"user=controller password={password}")
    assert keys == {
        "PULUMI_CONFIG_PASSPHRASE": passphrase,
        "PULUMI_ACCESS_TOKEN": ACCESS_TOKEN,
        "AWS_ACCESS_KEY_ID": controlled.config["gpu-fleet:storeAccessKey"],
        "AWS_SECRET_ACCESS_KEY": controlled.config["gpu-fleet:storeSecretKey"],
    }
    assert controlled.secret("postgres-password") == {"POSTGRES_PASSWORD": password}
    salt = read_encryption(stack.folder, stack.name)
    assert salt.keys() == {"encryptionsalt"}
    file = controlled.live("v1", "ConfigMap", "controller-stack")
    assert file
    assert {name: json.loads(text) for name, text in file["data"].items()} == {f"Pulumi.{stack.name}.yaml": salt}
    assert controlled.live("v1", "PersistentVolumeClaim", "postgres-data")
    assert controlled.live("networking.k8s.io/v1", "NetworkPolicy", "controller-ways")
    assert "unchanged" in stack.up("--expect-no-changes").text
    assert "unchanged" in stack.refresh("--expect-no-changes").text

    # A person's database takes the place of ours, and the controller starts anew with its key.
    before = controlled.pod("controller")["metadata"]["annotations"]
    stack.config(secret={"gpu-fleet:controllerDsn": "host=db.example password=hers"})
    stack.up()
    assert controlled.live("apps/v1", "Deployment", "postgres") is None
    assert controlled.live("v1", "Secret", "postgres-password") is None
    assert controlled.secret("controller-keys")["GPU_FLEET_DSN"] == "host=db.example password=hers"
    assert controlled.pod("controller")["metadata"]["annotations"] != before

    controlled.write(replicas=0)
    stack.up()
    assert controlled.live("apps/v1", "Deployment", "controller") is None
    assert stack.outputs().keys() == {"secret"}
    until(lambda: controlled.live("v1", "Namespace", controlled.namespace) is None, seconds=30)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backend": "file:///srv/state"}, "cannot reach file:///srv/state, which is a folder of one machine"),
        ({"backend": ""}, "needs `backend`"),
        ({"kubeconfig": "gone"}, "controller.kubernetes.kubeconfig:"),
    ],
)
def test_a_mistake_is_told_in_the_preview(controlled: Controlled, changes: dict[str, str], said: str) -> None:
    controlled.write(**changes)

    done = controlled.stack.preview(check=False)

    assert done.status
    assert said in done.text
    assert "Traceback" not in done.text
