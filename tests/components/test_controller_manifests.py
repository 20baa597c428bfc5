"""The controller's manifests: restricted pods, no secret in them, and no way but those that the controller needs."""

import ipaddress
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.controller_manifests import (
    CERTIFICATE_SECRET,
    CONTROLLER_SECRET,
    DSN,
    POSTGRES_PASSWORD,
    POSTGRES_SECRET,
    PRIVATE_4,
    PRIVATE_6,
    PROJECT_FOLDER,
    USER,
    ControllerSettings,
    dsn,
    manifests,
    ways,
)
from config.controller_kubernetes import ControllerKubernetesConfig
from controller.world.settings import read_settings
from monitoring.kubernetes.network_policies import Network, Pods
from monitoring.kubernetes.objects import Manifest
from tests.doubles.manifests import assert_every_name_is_made, assert_pods_are_restricted, of, pods

IMAGE = f"registry.example/me/gpu-fleet-controller:1@sha256:{'a' * 64}"
KEYS = (DSN, "PULUMI_CONFIG_PASSPHRASE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ENCRYPTION = {"encryptionsalt": "v1:salt"}
SECRETS = {
    CONTROLLER_SECRET: set(KEYS),
    POSTGRES_SECRET: {POSTGRES_PASSWORD},
    CERTIFICATE_SECRET: {"tls.crt", "tls.key"},
}


def settings(
    own_postgres: bool = True, watched_from: str = "", api_port: int = 0, **section: Any
) -> ControllerSettings:
    return ControllerSettings(
        ControllerKubernetesConfig.model_validate({"namespace": "fleets", "image": IMAGE, **section}),
        "dev",
        "s3://bucket/state",
        KEYS,
        own_postgres,
        watched_from,
        ENCRYPTION,
        api_port,
    )


BOTH = pytest.mark.parametrize(
    "found",
    [manifests(settings()), manifests(settings(own_postgres=False)), manifests(settings(api_port=30444))],
    ids=["own-postgres", "their-postgres", "open"],
)


@BOTH
def test_every_name_leads_to_something_that_is_made(found: list[Manifest]) -> None:
    assert_every_name_is_made(found, SECRETS, "fleets")
    services = of(found, "Service")
    inside = {name: each for name, each in services.items() if each["spec"]["type"] == "ClusterIP"}
    assert inside.keys() == pods(found).keys()
    assert services.keys() - inside.keys() <= {"controller-outside"}


@BOTH
def test_pods_are_restricted_probed_and_bounded(found: list[Manifest]) -> None:
    assert_pods_are_restricted(found)
    assert all("@sha256:" in pod["containers"][0]["image"] for pod in pods(found).values())


@BOTH
def test_one_pod_of_each_which_ends_before_the_next_starts(found: list[Manifest]) -> None:
    for each in of(found, "Deployment").values():
        assert each["spec"]["replicas"] == 1
        assert each["spec"]["strategy"] == {"type": "Recreate"}


def test_the_controller_lives_by_one_path_and_is_ready_by_another() -> None:
    [container] = pods(manifests(settings()))["controller"]["containers"]

    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    # A database that does not answer must not restart the controller again and again.
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert container["command"] == ["python", "-m", "controller"]
    plain = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    assert plain["GPU_FLEET_STACK"] == "dev"
    assert plain["PULUMI_BACKEND_URL"] == "s3://bucket/state"
    assert plain["USER"] == "controller"
    assert plain["GPU_FLEET_LISTEN"] == f"0.0.0.0:{container['ports'][0]['containerPort']}"


def test_every_pod_of_it_has_one_name_so_that_the_next_breaks_the_locks_of_a_killed_one() -> None:
    assert pods(manifests(settings()))["controller"]["hostname"] == "controller"


def test_no_more_slots_start_at_once_than_its_memory_holds() -> None:
    def at_once(**given: Any) -> tuple[str, str]:
        [container] = pods(manifests(settings(**given)))["controller"]["containers"]
        plain = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        return plain["GPU_FLEET_BOOTS_AT_ONCE"], container["resources"]["limits"]["memory"]

    assert at_once() == ("6", "2048Mi")
    assert at_once(memoryMb=512) == ("1", "512Mi")
    assert at_once(memoryMb=13312) == ("50", "13312Mi")


def test_the_controller_takes_every_variable_of_its_manifests() -> None:
    [container] = pods(manifests(settings()))["controller"]["containers"]
    given = {one["name"]: one.get("value", "secret") for one in container["env"]}

    taken = read_settings(given)

    known = {f"GPU_FLEET_{name.upper()}" for name in type(taken).model_fields}
    assert {name for name in given if name.startswith("GPU_FLEET_")} <= known
    assert (taken.stack, taken.backend, taken.address) == ("dev", "s3://bucket/state", ("0.0.0.0", 8080))
    assert taken.boots_at_once == 6


def test_slots_encrypt_as_the_main_stack_does() -> None:
    found = manifests(settings())
    [container] = pods(found)["controller"]["containers"]
    [mount] = [each for each in container["volumeMounts"] if "subPath" in each]
    file = of(found, "ConfigMap")["controller-stack"]["data"][mount["subPath"]]

    # Pulumi takes JSON as YAML; the controller looks for the file of the stack in the program's folder.
    assert mount["mountPath"] == "/opt/gpu-fleet/Pulumi.dev.yaml"
    assert json.loads(file) == ENCRYPTION
    without = manifests(replace(settings(), encryption={}))
    assert of(without, "ConfigMap") == {}
    assert not [each for each in pods(without)["controller"]["containers"][0]["volumeMounts"] if "subPath" in each]


def test_the_folders_are_those_of_the_image() -> None:
    file = (Path(__file__).resolve().parents[2] / "Containerfile.controller").read_text()

    assert f"WORKDIR {PROJECT_FOLDER}\n" in file
    assert f"USER {USER}:{USER}\n" in file


def test_keys_come_from_secrets_alone() -> None:
    for pod in pods(manifests(settings())).values():
        [container] = pod["containers"]
        plain = {one["name"] for one in container["env"] if "value" in one}
        assert not plain & {*KEYS, POSTGRES_PASSWORD}
        assert not [word for word in (*container["args"], *container.get("command", ())) if "password" in word]


def test_with_their_database_there_is_none_of_ours_and_no_way_to_it() -> None:
    found = manifests(settings(own_postgres=False))

    assert list(pods(found)) == ["controller"]
    assert of(found, "PersistentVolumeClaim") == {}
    assert "postgres-ways" not in of(found, "NetworkPolicy")


def test_only_the_controller_reaches_the_database() -> None:
    policies = of(manifests(settings()), "NetworkPolicy")
    [rule] = policies["postgres-ways"]["spec"]["ingress"]

    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in rule["from"]] == ["controller"]
    assert policies["postgres-ways"]["spec"]["egress"] == []
    assert policies["deny-all"]["spec"]["podSelector"] == {}


def test_nobody_reaches_the_api_unless_config_says_so() -> None:
    def callers(**given: Any) -> list[Any]:
        return [way.source for way in ways(settings(**given)) if way.target == "controller"]

    assert callers() == []
    assert callers(watched_from="watch") == [Pods("watch", "prometheus")]
    assert callers(clientNamespaces=["ingress"], clientNetworks=["10.1.0.0/16"]) == [
        Pods("ingress"),
        Network("10.1.0.0/16"),
    ]


def test_clients_from_outside_come_over_tls_and_are_known_by_their_addresses() -> None:
    given = settings(api_port=30444, watched_from="watch", clientNetworks=["203.0.113.0/24"])
    door = of(manifests(given), "Service")["controller-outside"]["spec"]
    [container] = pods(manifests(given))["controller"]["containers"]
    taken = read_settings({one["name"]: one.get("value", "secret") for one in container["env"]})

    assert (door["type"], door["externalTrafficPolicy"]) == ("NodePort", "Local")
    assert [(one["port"], one["targetPort"], one["nodePort"]) for one in door["ports"]] == [(443, "https", 30444)]
    callers = {(way.source, way.port) for way in ways(given) if way.target == "controller"}
    assert callers == {(Pods("watch", "prometheus"), 8080), (Network("203.0.113.0/24"), 8443)}
    assert taken.outside is not None
    assert taken.outside.address == ("0.0.0.0", 8443)
    [mount] = [each for each in container["volumeMounts"] if each["mountPath"] == str(taken.outside.tls)]
    assert mount["readOnly"] is True
    assert container["ports"][-1] == {"name": "https", "containerPort": 8443}
    assert read_settings({one["name"]: one.get("value", "s") for one in closed()["env"]}).outside is None


def closed() -> dict[str, Any]:
    [container] = pods(manifests(settings()))["controller"]["containers"]
    return dict(container)


def test_the_controller_reaches_the_internet_and_no_private_network_but_those_of_config() -> None:
    def reached(address: str, port: int, **given: Any) -> bool:
        there = ipaddress.ip_address(address)
        for way in ways(settings(**given)):
            if way.source != "controller" or not isinstance(way.target, Network):
                continue
            inside = there in ipaddress.ip_network(way.target.cidr)
            left_out = any(there in ipaddress.ip_network(one) for one in way.target.but)
            if inside and not left_out and (way.port is None or way.port <= port <= (way.last or way.port)):
                return True
        return False

    assert reached("198.51.100.7", 443)  # market and bucket
    assert reached("198.51.100.7", 41022)  # a host's SSH and gate, as the market maps them
    assert reached("2001:db8::7", 22)
    assert not reached("198.51.100.7", 25)
    for private in ("10.96.0.1", "169.254.169.254", "192.168.1.1", "172.17.0.1", "127.0.0.1", "fd00::1", "fe80::1"):
        assert not reached(private, 443), private
    assert reached("10.2.0.9", 8333, networks=["10.2.0.0/24"])
    for network in (*PRIVATE_4, *PRIVATE_6):
        ipaddress.ip_network(network)  # the API server refuses one with host bits


def test_the_connection_string_leads_to_our_service() -> None:
    assert dsn("secret") == "host=postgres port=5432 dbname=controller user=controller password=secret"
