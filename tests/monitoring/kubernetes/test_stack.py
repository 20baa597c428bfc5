"""The manifests name nothing that is not there, ask for no more than they need, and hold no secret."""

from typing import Any

import pytest
import yaml

from monitoring.kubernetes import stack
from monitoring.kubernetes.grafana import documents
from monitoring.kubernetes.images import IMAGES, unpinned
from monitoring.kubernetes.network_policies import ANYWHERE, Way, ways_of
from monitoring.kubernetes.objects import CONFIG_DIGEST, Manifest
from monitoring.kubernetes.settings import (
    ALERTMANAGER_FILE,
    ALERTMANAGER_SECRET,
    EXPORTER_KEYS,
    EXPORTER_SECRET,
    GRAFANA_PASSWORD,
    GRAFANA_SECRET,
    RECEIVER_KEY,
    RECEIVER_SECRET,
    Settings,
)
from tests.doubles.manifests import assert_every_name_is_made, assert_pods_are_restricted, of, pods

SETTINGS = Settings(
    namespace="watch",
    image="example/monitoring:1",
    stack_file="config: {}\n",
    runbooks="https://example.net/runbooks.md",
)
THEIR_PROMETHEUS = {"prometheus": "http://prometheus.other:9090", "rule_labels": {"release": "kube-prometheus"}}
THEIRS = SETTINGS.model_copy(update={"mode": "existing", **THEIR_PROMETHEUS})
BOTH = [stack.plain(SETTINGS), stack.existing(THEIRS)]
SECRETS = {
    RECEIVER_SECRET: {RECEIVER_KEY},
    EXPORTER_SECRET: set(EXPORTER_KEYS),
    GRAFANA_SECRET: {GRAFANA_PASSWORD},
    ALERTMANAGER_SECRET: {ALERTMANAGER_FILE},
    "door-certificate": {"tls.crt", "tls.key"},
}


@pytest.mark.parametrize("manifests", BOTH, ids=["plain", "existing"])
def test_every_name_leads_to_something_that_is_made(manifests: list[Manifest]) -> None:
    assert_every_name_is_made(manifests, SECRETS, "watch")


@pytest.mark.parametrize("manifests", BOTH, ids=["plain", "existing"])
def test_pods_are_restricted_probed_and_bounded(manifests: list[Manifest]) -> None:
    assert_pods_are_restricted(manifests)
    for pod in pods(manifests).values():
        [container] = pod["containers"]
        assert container["livenessProbe"]["httpGet"]["port"] in {port["name"] for port in container["ports"]}


def test_prometheus_scrapes_the_services_and_loads_the_rules() -> None:
    manifests = stack.plain(SETTINGS)
    files = of(manifests, "ConfigMap")["prometheus-config"]["data"]
    config = yaml.safe_load(files["prometheus.yml"])
    services = {
        f"{name}:{port['port']}" for name, each in of(manifests, "Service").items() for port in each["spec"]["ports"]
    }
    targets = [target for job in config["scrape_configs"] for target in job["static_configs"][0]["targets"]]
    assert set(targets) <= services
    assert {job["job_name"] for job in config["scrape_configs"]} == {
        "prometheus",
        "alertmanager",
        "exporter",
        "door",
        "grafana",
    }
    assert config["rule_files"] == [name for name in files if name != "prometheus.yml"]
    assert "https://example.net/runbooks.md#" in files["alerts.yml"]


def test_prometheus_scrapes_the_controller_of_its_cluster() -> None:
    def targets(settings: Settings) -> dict[str, str]:
        file = of(stack.plain(settings), "ConfigMap")["prometheus-config"]["data"]["prometheus.yml"]
        jobs = yaml.safe_load(file)["scrape_configs"]
        return {job["job_name"]: job["static_configs"][0]["targets"][0] for job in jobs}

    with_controller = targets(SETTINGS.model_copy(update={"controller_namespace": "fleets"}))

    assert with_controller == {**targets(SETTINGS), "controller": "controller.fleets:8080"}
    outside = SETTINGS.model_copy(update={"controller_address": "fleet.example:8300"})
    assert targets(outside) == {**targets(SETTINGS), "controller": "fleet.example:8300"}
    assert set(ways_of(outside)) - set(ways_of(SETTINGS)) == {Way("prometheus", ANYWHERE, 8300)}


def test_a_changed_file_starts_its_pod_anew_and_no_other() -> None:
    def digests(settings: Settings) -> dict[str, Any]:
        return {
            name: each["spec"]["template"]["metadata"]["annotations"][CONFIG_DIGEST]
            for name, each in of(stack.plain(settings), "Deployment").items()
        }

    before, after = digests(SETTINGS), digests(SETTINGS.model_copy(update={"stack_file": "config: {a: 1}\n"}))

    assert {name for name in before if before[name] != after[name]} == {"exporter"}


def test_the_world_reaches_the_door_and_not_its_metrics() -> None:
    services = of(stack.plain(SETTINGS), "Service")

    outside = {name: each for name, each in services.items() if each["spec"]["type"] != "ClusterIP"}

    assert list(outside) == ["door-outside"]
    assert [port["targetPort"] for port in outside["door-outside"]["spec"]["ports"]] == ["https"]


def test_with_a_prometheus_that_exists_only_what_it_lacks_is_made() -> None:
    manifests = stack.existing(THEIRS)

    assert list(pods(manifests)) == ["door"]
    [rules] = of(manifests, "PrometheusRule").values()
    assert rules["metadata"]["labels"] == {"release": "kube-prometheus"}
    assert {group["name"] for group in rules["spec"]["groups"]} >= {"gpu-fleet-records"}
    assert of(manifests, "ConfigMap").keys() == {f"dashboard-{uid}" for uid in documents()}
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in of(manifests, "ConfigMap").values()} == {"1"}
    assert "--upstream=http://prometheus.other:9090" in pods(manifests)["door"]["containers"][0]["args"]


def test_images_are_pinned_where_their_digest_is_known_and_named_where_not() -> None:
    known = {name: f"sha256:{number:064d}" for number, name in enumerate(IMAGES)}
    manifests = stack.plain(SETTINGS.model_copy(update={"digests": known}))

    images = {name: pod["containers"][0]["image"] for name, pod in pods(manifests).items()}

    assert images["prometheus"] == f"prom/prometheus:v3.5.0@{known['prometheus']}"
    assert images["door"] == images["exporter"] == "example/monitoring:1"
    assert len(unpinned(known, "example/monitoring:1")) == 1
    assert len(unpinned({}, f"example/monitoring@sha256:{0:064d}")) == len(IMAGES)


def test_a_configmap_is_far_from_the_largest_that_a_cluster_takes() -> None:
    for each in of(stack.plain(SETTINGS), "ConfigMap").values():
        assert sum(len(text.encode()) for text in each["data"].values()) < 512 * 1024
