"""The section `cluster`: what it takes, and that every mistake is one sentence before anything is made or paid."""

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.kubernetes_settings import stack_file
from config.cluster import OF_K3S, SCHEDULE, ClusterConfig
from config.messages import ConfigError
from config.secret_keys import SECRETS, needed_secrets
from config.stack import StackConfig
from tests.config.test_reading import GOOD, changed, project, read

__all__ = ["project"]
CLUSTER: dict[str, Any] = {
    "location": "fsn1",
    "adminCidrs": ["198.51.100.7/32"],
    "k3s": {"version": "v1.34.2+k3s1", "sha256": "a" * 64},
}
KUBERNETES = {"image": "example/monitoring:1"}
OPEN = {**CLUSTER, "apiPort": 30444}


def cluster(**given: Any) -> ClusterConfig:
    return ClusterConfig.model_validate({**CLUSTER, **given})


def test_little_is_needed_and_nothing_is_open() -> None:
    made = cluster()

    assert (made.server, made.volume_gb, made.load_balancer, made.protect) == ("cx33", 20, False, True)
    assert made.backups.enabled
    assert (made.subnet, made.private_address) == ("10.0.1.0/24", "10.0.1.10")
    assert made.k3s.source == "https://github.com/k3s-io/k3s/releases/download/v1.34.2%2Bk3s1/k3s"
    assert made.k3s.minor == 34
    assert cluster(network="10.9.8.0/24").subnet == "10.9.8.0/24"


@pytest.mark.parametrize("key", ["location", "adminCidrs", "k3s"])
def test_what_only_the_operator_knows_has_no_default(project: Path, key: str) -> None:
    lacking = {name: value for name, value in CLUSTER.items() if name != key}

    with pytest.raises(ConfigError, match=rf"gpu-fleet:cluster\.{key} is missing; set it with: pulumi config set"):
        read(changed("cluster", lacking), project)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"adminCidrs": []}, "it is empty, so that you could not log in"),
        ({"adminCidrs": ["198.51.100.7/24"]}, "198.51.100.7/24 is no network; write it as"),
        ({"adminCidrs": ["home"]}, "home is no network"),
        ({"adminCidrs": ["0.0.0.0/0"]}, "set adminCidrsOpen to true"),
        ({"adminCidrs": ["198.51.100.7/32", "::/0"]}, "adminCidrs has ::/0, so that the whole internet"),
        ({"adminCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, "adminCidrs has 0.0.0.0/1, 128.0.0.0/1"),
        ({"k3s": {"version": "stable", "sha256": "a" * 64}}, "channels such as stable are not pinned"),
        ({"k3s": {"version": "v1.34.2", "sha256": "a" * 64}}, "is written as v1.34.2+k3s1"),
        ({"k3s": {"version": "v1.34.2+k3s1", "sha256": "A" * 64}}, "a digest is 64 hex digits in lower case"),
        ({"k3s": {"version": "v1.34.2+k3s1"}}, "cluster.k3s.sha256 is missing"),
        ({"k3s": {**CLUSTER["k3s"], "url": "https://me:secret@files.example/k3s"}}, "cluster.k3s.url is"),
        ({"location": "Falkenstein"}, "cluster.location is 'Falkenstein'"),
        ({"server": "cax21"}, "it has an Arm processor"),
        ({"server": "biggest"}, "cluster.server is 'biggest'"),
        ({"volumeGb": 9}, "greater than or equal to 10"),
        ({"volumeGb": 10241}, "less than or equal to 10240"),
        ({"receiverPort": 443}, "greater than or equal to 30000"),
        ({"apiPort": 8080}, "greater than or equal to 30000"),
        ({"apiPort": 30443}, "apiPort and receiverPort are both 30443; choose another apiPort, such as 30444"),
        ({"network": "10.42.7.0/24"}, "overlaps with 10.42.0.0/16, which k3s gives to pods"),
        ({"network": "10.0.0.0/8"}, "overlaps with 10.42.0.0/16"),
        ({"network": "198.51.100.0/24"}, "it must be a private network"),
        ({"network": "fd00::/16"}, "it must be a private network"),
        ({"name": "My_Cluster"}, "a name is lower-case letters"),
        ({"backups": {"schedule": "@hourly"}}, "a schedule has five fields"),
        ({"backups": {"keep": 0}}, "greater than or equal to 1"),
        ({"apiUrl": "api.hetzner.cloud"}, "cluster.apiUrl is"),
        ({"adminCidr": ["198.51.100.7/32"]}, "did you mean adminCidrs?"),
        ({"nodes": 3}, "cluster.nodes is not a known key"),
    ],
)
def test_a_mistake_is_one_sentence(project: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(changed("cluster", {**CLUSTER, **given}), project)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_whole_internet_may_come_in_if_that_is_said_on_purpose() -> None:
    assert cluster(adminCidrs=["0.0.0.0/0"], adminCidrsOpen=True).admin_cidrs == ("0.0.0.0/0",)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"kubernetes": {**KUBERNETES, "kubeconfig": "mine"}},
            "kubernetes.kubeconfig is 'mine', and gpu-fleet:cluster",
        ),
        (
            {"kubernetes": {**KUBERNETES, "context": "mine"}},
            "kubernetes.context is 'mine', and gpu-fleet:cluster makes",
        ),
        (
            {"controller": {"backend": "s3://b/p", "kubernetes": {"image": "example/c:1", "kubeconfig": "mine"}}},
            "controller.kubernetes.kubeconfig is 'mine', and gpu-fleet:cluster makes",
        ),
        (
            {"kubernetes": {**KUBERNETES, "receiverService": "LoadBalancer"}},
            "take the key out. For a load balancer, set",
        ),
        ({"kubernetes": {**KUBERNETES, "receiverService": "ClusterIP"}}, "only NodePort is reached from outside"),
        ({"kubernetes": {**KUBERNETES, "receiverCertificate": "mine"}}, "set gpu-fleet:metrics.url too"),
        (
            {"kubernetes": {**KUBERNETES, "mode": "existing", "prometheus": "http://p:9090"}},
            "has no Prometheus yet; take plain",
        ),
        ({"metrics": {"intervalSeconds": 5}}, "gpu-fleet:metrics.url is missing"),
        (
            {"cluster": OPEN},
            "gpu-fleet:cluster.apiPort is 30444, and the cluster has no controller whose API it could serve",
        ),
        (
            {"cluster": OPEN, "controller": {"backend": "s3://b/p", "kubernetes": {"image": "example/c:1"}}},
            "pulumi config set --path 'gpu-fleet:controller.kubernetes.clientNetworks[0]' 198.51.100.0/24",
        ),
    ],
)
def test_what_contradicts_an_own_cluster_is_refused(project: Path, sections: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            {
                **GOOD,
                "cluster": CLUSTER,
                **({"metrics": {"intervalSeconds": 9}} if "kubernetes" in sections else {}),
                **sections,
            },
            project,
        )
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_cluster_those_keys_are_as_they_were(project: Path) -> None:
    mine = {**KUBERNETES, "kubeconfig": "mine", "receiverService": "ClusterIP", "receiverCertificate": "mine"}

    assert read({**GOOD, "kubernetes": mine}, project).metrics is None
    with pytest.raises(ConfigError, match=r"gpu-fleet:metrics\.url is missing"):
        read({**GOOD, "kubernetes": mine, "metrics": {"intervalSeconds": 5}}, project)


def test_hosts_report_to_a_cluster_that_monitors_without_being_told_to(project: Path) -> None:
    own = read({**GOOD, "cluster": CLUSTER, "kubernetes": KUBERNETES}, project)
    assert own.metrics is not None
    assert own.metrics.url == ""

    elsewhere = read({**GOOD, "cluster": CLUSTER, "metrics": {"url": "https://metrics.example"}}, project)
    assert elsewhere.metrics is not None
    assert elsewhere.metrics.url == "https://metrics.example"
    assert read({**GOOD, "cluster": CLUSTER}, project).metrics is None


def test_a_cluster_needs_a_token_and_its_snapshots_need_keys_of_their_own() -> None:
    def needed(**given: Any) -> list[str]:
        return needed_secrets(StackConfig.model_validate({**GOOD, "cluster": {**CLUSTER, **given}}))

    assert needed() == [*SECRETS, "hcloudToken", "backupAccessKey", "backupSecretKey"]
    assert needed(backups={"enabled": False}) == [*SECRETS, "hcloudToken"]


def test_the_exporter_does_not_learn_of_it(project: Path) -> None:
    config = read({**GOOD, "cluster": CLUSTER, "kubernetes": KUBERNETES}, project)

    assert "cluster" not in stack_file(config)
    assert "198.51.100.7" not in stack_file(config)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_the_subnet_lies_in_the_network_and_meets_nothing_of_k3s(address: ipaddress.IPv4Address, bits: int) -> None:
    network = ipaddress.ip_network((address, bits), strict=False)
    try:
        made = cluster(network=str(network))
    except ValidationError:
        return
    subnet = ipaddress.IPv4Network(made.subnet)
    assert subnet.subnet_of(ipaddress.IPv4Network(network))
    assert network.is_private
    assert ipaddress.ip_address(made.private_address) in subnet
    assert not [taken for taken in OF_K3S.values() if ipaddress.ip_network(taken).overlaps(network)]


@given(st.sampled_from(["10.0.0.0", "172.16.0.0", "192.168.0.0"]), st.integers(8, 24))
def test_private_networks_beside_those_of_k3s_are_taken(base: str, bits: int) -> None:
    network = ipaddress.ip_network((base, bits), strict=False)
    fits = bits >= {"10.0.0.0": 8, "172.16.0.0": 12, "192.168.0.0": 16}[base]
    if fits and not [taken for taken in OF_K3S.values() if ipaddress.ip_network(taken).overlaps(network)]:
        assert cluster(network=str(network)).network == str(network)


@given(st.text(max_size=20))
def test_no_text_that_is_no_schedule_passes(text: str) -> None:
    if SCHEDULE.match(text):
        assert len(text.split(" ")) == 5
        assert set(text) <= set("0123456789*/,- ")
