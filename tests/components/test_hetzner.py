"""What the program declares of `gpu-fleet:cluster`: each resource's inputs and wiring, recorded by Pulumi's mocks."""

import json
import subprocess
import sys
from typing import Any

import pytest

from components.hetzner_rules import backups_of, default_name, firewall_rules, key_name, own_keys_advice
from config.cluster import NAME, ClusterConfig
from config.store import StoreConfig
from tests.config.test_cluster import CLUSTER, KUBERNETES
from tests.config.test_reading import GOOD
from tests.doubles.cloud import REPO

SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"  # of Pulumi
STACK_ID = "abcdefghijklmnop"
PROGRAM = """
import asyncio, json, sys
import pulumi
from pulumi.runtime.rpc import UNKNOWN
from config.stack import StackConfig

rows = []

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        rows.append({"type": args.typ, "name": args.name, "inputs": args.inputs, "id": args.resource_id})
        more = {
            "hcloud:index/primaryIp:PrimaryIp": {"ipAddress": "198.51.100.9"},
            "hcloud:index/volume:Volume": {"linuxDevice": "/dev/disk/by-id/scsi-0HC_Volume_1"},
            "hcloud:index/loadBalancer:LoadBalancer": {"ipv4": "198.51.100.10"},
            "pulumi-python:dynamic/identity:Identity": {
                "stackId": "abcdefghijklmnop", "tokenSecret": "5" * 64, "sshPublicKey": "ssh-ed25519 AAAA x",
                "sshPrivateKey": "private", "previousSshPrivateKey": "", "caKey": "ca key", "caCertificate": "ca",
            },
            "pulumi-python:dynamic/cluster:Kubeconfig": {"kubeconfig": "the kubeconfig"},
            "pulumi-python:dynamic/cluster:Node": {"authority": "the ca", "version": "v"},
        }
        return [str(len(rows)), {**args.inputs, **more.get(args.typ, {})}]

    def call(self, args):
        return {}

pulumi.runtime.set_mocks(Mocks(), project="gpu-fleet", stack="dev", preview=False)
pulumi.runtime.set_all_config(
    {f"gpu-fleet:{key}": key * 8 for key in ("hcloudToken", "backupAccessKey", "backupSecretKey", "storeAccessKey")},
)

@pulumi.runtime.test
def declare():
    from components.hetzner import make_cluster
    from providers.identity.resource import Identity

    stack = StackConfig.model_validate(json.loads(sys.argv[1]))
    common = pulumi.ProviderResource("pulumi-python", "common", {})
    identity = Identity("identity", {"rotation": {}, "stack": "organization/gpu-fleet/dev"})
    made = make_cluster(stack, identity, pulumi.Config("gpu-fleet"), common, identity)
    told = pulumi.Output.all(made.receiver.url, made.kubeconfig, made.api)
    def record(known):
        shown = {"receiver": known[0], "kubeconfig": known[1], "api": known[2]}
        rows.append({"type": "told", "name": "told", "inputs": shown})
    async def secrecy():
        rows.append({"type": "secret", "name": "secret", "inputs": {"kubeconfig": await made.kubeconfig.is_secret()}})
    return pulumi.Output.all(told.apply(record), pulumi.Output.from_input(secrecy()))

declare()
print(json.dumps(rows, default=str))
"""


CONTROLLER = {"image": "example/controller:1", "clientNetworks": ["203.0.113.0/24"]}
ELASTIC = {
    "fleets": {"chat": {**GOOD["fleets"]["chat"], "replicas": {"max": 2}}},
    "controller": {"backend": "s3://bucket/state", "kubernetes": CONTROLLER},
}


def declared(more: dict[str, Any] | None = None, **given: Any) -> dict[str, dict[str, Any]]:
    """Return the inputs of each resource, by name. `more`: other sections."""
    config = {**GOOD, "cluster": {**CLUSTER, **given}, "kubernetes": KUBERNETES, **(more or {})}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(config)], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {row["name"]: row["inputs"] for row in json.loads(done.stdout.splitlines()[-1])}


@pytest.fixture(scope="module")
def plain() -> dict[str, dict[str, Any]]:
    return declared()


def test_every_resource_of_hetzner_carries_name_and_mark(plain: dict[str, dict[str, Any]]) -> None:
    named = (
        "cluster-address",
        "cluster-volume",
        "cluster-network",
        "cluster-firewall",
        "cluster-server",
    )
    for name in named:
        assert plain[name]["name"] == "gpu-fleet-dev"
        assert plain[name]["labels"] == {"gpu-fleet": STACK_ID}
    assert not [name for name in plain if "load-balancer" in name]
    assert plain["cluster-key"]["name"] == key_name("gpu-fleet-dev", plain["cluster-key"]["publicKey"])
    assert key_name("a", "ssh-ed25519 old") != key_name("a", "ssh-ed25519 new")


def test_the_server_is_in_the_network_behind_the_firewall_at_its_address(plain: dict[str, dict[str, Any]]) -> None:
    server = plain["cluster-server"]

    assert (server["serverType"], server["image"], server["location"]) == ("cx33", "debian-12", "fsn1")
    assert server["networks"][0]["ip"] == "10.0.1.10"
    assert server["publicNets"][0]["ipv6Enabled"] is False
    assert server["keepDisk"] is True
    assert server["deleteProtection"] is True
    assert plain["cluster-address"]["autoDelete"] is False
    assert plain["cluster-subnet"]["networkZone"] == "eu-central"
    assert plain["cluster-volume-attachment"]["automount"] is False
    told = json.loads(in_secret(server["userData"]).removeprefix("#cloud-config\n"))
    assert "/dev/disk/by-id/scsi-0HC_Volume_1" in told["write_files"][0]["content"]


def test_the_server_should_keep_no_key_of_the_store() -> None:
    assert own_keys_advice("store", "snapshots") == ""
    assert "gpu-fleet:backupAccessKey is the store's own key" in own_keys_advice("store", "store")


def in_secret(value: Any) -> str:
    """Return the text of an input that the engine keeps as a secret; fails for one in plain."""
    assert value[SIGNATURE] == SECRET
    return str(value["value"])


def test_the_node_learns_what_it_needs_and_nothing_of_hetzners_token(plain: dict[str, dict[str, Any]]) -> None:
    node = plain["cluster-node"]

    assert node["address"] == "198.51.100.9"
    assert node["hostKey"].startswith("SHA256:")
    assert node["backups"]["stackId"] == STACK_ID
    assert node["backups"]["bucket"] == "models"
    for key in ("k3sToken", "nodePassword", "backupAccessKey", "backupSecretKey"):
        assert len(in_secret(node[key])) >= 32
    assert "hcloudToken" not in json.dumps({**node, "user": plain["cluster-server"]["userData"]})
    assert plain["cluster-kubeconfig"]["authority"] == "the ca"


def test_hosts_report_to_the_servers_own_port(plain: dict[str, dict[str, Any]]) -> None:
    assert plain["told"]["receiver"] == "https://198.51.100.9:30443"
    assert plain["receiver-certificate"]["addresses"] == ["198.51.100.9"]
    assert plain["secret"] == {"kubeconfig": True}


def test_with_a_load_balancer_they_report_to_it_and_the_server_opens_no_port() -> None:
    found = declared(loadBalancer=True, protect=False)

    assert found["told"]["receiver"] == "https://198.51.100.10"
    assert found["receiver-certificate"]["addresses"] == ["198.51.100.10"]
    service = found["cluster-load-balancer-service"]
    assert (service["listenPort"], service["destinationPort"], service["protocol"]) == (443, 30443, "tcp")
    assert found["cluster-load-balancer-target"]["usePrivateIp"] is True
    assert [rule.get("port") for rule in found["cluster-firewall"]["rules"]] == ["22", "6443", None]
    assert found["cluster-server"]["deleteProtection"] is False


def test_the_api_of_the_controller_opens_to_its_clients_alone_and_never_behind_the_load_balancer() -> None:
    found = declared(ELASTIC, apiPort=30444, loadBalancer=True)

    assert found["told"]["api"] == "https://198.51.100.9:30444"
    assert found["api-certificate"]["addresses"] == ["198.51.100.9"]
    opened = {rule.get("port"): rule["sourceIps"] for rule in found["cluster-firewall"]["rules"]}
    assert opened["30444"] == ["203.0.113.0/24"]
    assert found["cluster-load-balancer-service"]["destinationPort"] == 30443


@pytest.mark.parametrize(("more", "given"), [(ELASTIC, {}), ({}, {"apiPort": 30444})], ids=["no port", "no controller"])
def test_the_api_is_closed_by_default(more: dict[str, Any], given: dict[str, Any]) -> None:
    found = declared(more, **given)

    assert found["told"]["api"] is None
    assert "api-certificate" not in found
    assert [rule.get("port") for rule in found["cluster-firewall"]["rules"]] == ["22", "6443", None, "30443"]


def test_only_admins_reach_ssh_and_the_api() -> None:
    cluster = ClusterConfig.model_validate(CLUSTER)

    rules = {rule.get("port"): rule["source_ips"] for rule in firewall_rules(cluster, reports=True)}

    assert rules == {
        "22": ["198.51.100.7/32"],
        "6443": ["198.51.100.7/32"],
        None: ["0.0.0.0/0", "::/0"],
        "30443": ["0.0.0.0/0", "::/0"],
    }
    assert "30443" not in {rule.get("port") for rule in firewall_rules(cluster, reports=False)}


def test_snapshots_go_to_the_stores_bucket_or_to_one_of_their_own() -> None:
    store = StoreConfig.model_validate({**GOOD["store"], "hostEndpoint": "https://hosts.example"})

    def backups(**given: Any) -> dict[str, Any]:
        return backups_of(ClusterConfig.model_validate({**CLUSTER, "backups": given}), store, STACK_ID)

    assert backups()["endpoint"] == "https://hosts.example"
    assert backups()["ownEndpoint"] == GOOD["store"]["endpoint"]
    other = backups(endpoint="https://s3.example", region="eu", bucket="snapshots")
    assert (other["endpoint"], other["ownEndpoint"], other["bucket"]) == (
        "https://s3.example", "https://s3.example", "snapshots",
    )  # fmt: skip
    assert backups(enabled=False) == {"schedule": "0 */6 * * *", "keep": 28}


@pytest.mark.parametrize("stack", ["dev", "Prod_1", "a.b.c", "x" * 100, "---", "eu-1"])
def test_any_stack_has_a_name_that_hetzner_takes(stack: str) -> None:
    assert NAME.match(default_name(stack))
