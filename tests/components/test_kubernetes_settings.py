"""What the program makes of `gpu-fleet:kubernetes` before any cluster is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.kubernetes_settings import grafana_password, pinning_advice, read_kubeconfig, settings_of, stack_file
from config.kubernetes import KubernetesConfig
from config.messages import ConfigError
from config.secret_keys import SECRETS, needed_secrets
from config.stack import StackConfig
from monitoring.exporter.account import read_account
from monitoring.kubernetes.services import receiver
from tests.config.test_cluster import CLUSTER
from tests.config.test_reading import GOOD, changed, project, read

__all__ = ["project"]
IMAGE = "example/monitoring:1"
DIGEST = f"sha256:{'a' * 64}"


def cluster(**given: Any) -> KubernetesConfig:
    return KubernetesConfig.model_validate({"image": IMAGE, **given})


def test_the_kubeconfig_is_the_named_one_or_kubectls(tmp_path: Path) -> None:
    for name in ("mine", "usual"):
        (tmp_path / name).write_text(f"contexts: [{{name: {name}}}, {{name: other}}]\ncurrent-context: {name}\n")
    usual = {"KUBECONFIG": f"{tmp_path / 'usual'}:/somewhere/else"}

    assert read_kubeconfig(cluster(kubeconfig="mine"), tmp_path, {}) == (tmp_path / "mine").read_text()
    assert read_kubeconfig(cluster(), tmp_path, usual) == (tmp_path / "usual").read_text()
    assert read_kubeconfig(cluster(context="other"), tmp_path, usual)
    with pytest.raises(ConfigError, match=r"mine has no context 'production' \(it has: mine, other\)"):
        read_kubeconfig(cluster(kubeconfig="mine", context="production"), tmp_path, {})
    with pytest.raises(ConfigError, match=r"gone cannot be read \(No such file or directory\)\. Name the file"):
        read_kubeconfig(cluster(kubeconfig="gone"), tmp_path, usual)
    for wrong in ("just words", "[", "contexts: 3", "{}"):
        (tmp_path / "mine").write_text(wrong)
        with pytest.raises(ConfigError, match="mine is no kubeconfig with contexts"):
            read_kubeconfig(cluster(kubeconfig="mine"), tmp_path, {})


def test_the_exporter_reads_the_same_config_without_secrets_and_without_manifests(tmp_path: Path) -> None:
    config = StackConfig.model_validate(
        {**GOOD, "budget": {"usdPerDay": 3}, "kubernetes": {"image": IMAGE}, "limits": {"connectMinutes": 2}}
    )
    file = tmp_path / "stack.yaml"
    file.write_text(stack_file(config))

    found = read_account(file, {"STORE_ACCESS_KEY": "a", "STORE_SECRET_KEY": "b"}, "market key").stack

    assert found == config.model_copy(update={"kubernetes": None})
    assert set(yaml.safe_load(file.read_text())["config"]) == {
        "gpu-fleet:market",
        "gpu-fleet:store",
        "gpu-fleet:models",
        "gpu-fleet:fleets",
        "gpu-fleet:limits",
        "gpu-fleet:budget",
    }


def test_the_exporters_pod_reaches_market_and_store_by_urls_of_its_own() -> None:
    own = {"marketUrl": "http://market.example.net:443", "storeEndpoint": "http://store.example.net:443"}
    plain = StackConfig.model_validate({**GOOD, "kubernetes": {"image": IMAGE}})
    other = StackConfig.model_validate({**GOOD, "kubernetes": {"image": IMAGE, **own}})
    before, after = (json.loads(stack_file(each))["config"] for each in (plain, other))

    assert after["gpu-fleet:market"] == {**before.get("gpu-fleet:market", {}), "url": own["marketUrl"]}
    assert after["gpu-fleet:store"] == {**before["gpu-fleet:store"], "endpoint": own["storeEndpoint"]}
    assert {key: after[key] for key in before.keys() - {"gpu-fleet:market", "gpu-fleet:store"}} == {
        key: before[key] for key in before.keys() - {"gpu-fleet:market", "gpu-fleet:store"}
    }


def test_images_without_digest_are_warned_of_with_the_command() -> None:
    told = pinning_advice(cluster())

    assert "runs 4 images by tag alone" in told
    assert "pulumi config set --path gpu-fleet:kubernetes.digests.grafana" in told
    pinned = dict.fromkeys(("prometheus", "alertmanager", "grafana", "monitoring"), DIGEST)
    assert pinning_advice(cluster(digests=pinned)) == ""
    theirs = {"mode": "existing", "prometheus": "http://prometheus:9090"}
    assert "runs an image by tag alone" in pinning_advice(cluster(**theirs))
    assert pinning_advice(cluster(**theirs, image=f"{IMAGE}@{DIGEST}")) == ""


@pytest.mark.parametrize(
    ("kubernetes", "said"),
    [
        ({}, "kubernetes.image is missing"),
        ({"image": "not an image"}, "kubernetes.image is 'not an image'"),
        ({"image": IMAGE, "digests": {"prometheus": "latest"}}, "a digest is sha256: and 64 hex digits"),
        ({"image": IMAGE, "digests": {"loki": DIGEST}}, "loki is no image of ours"),
        ({"image": IMAGE, "mode": "existing"}, "needs the URL of the Prometheus"),
        ({"image": IMAGE, "prometheus": "http://prometheus:9090"}, "plain makes its own"),
        ({"image": IMAGE, "namespace": "No_Name"}, "kubernetes.namespace is 'No_Name'"),
        ({"image": IMAGE, "storage": 3}, "did you mean storageGb?"),
    ],
)
def test_mistakes_are_sentences(project: Path, kubernetes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(changed("kubernetes", kubernetes), project)
    assert said in str(caught.value)


def test_keys_of_the_receiver_have_an_older_spelling_that_still_works(project: Path) -> None:
    older = {"doorCertificate": "mine", "doorService": "NodePort", "doorAnnotations": {"a": "b"}}
    newer = {key.replace("door", "receiver"): value for key, value in older.items()}

    assert cluster(**older) == cluster(**newer)
    assert cluster(**older).receiver_service == "NodePort"
    with pytest.raises(ConfigError, match=r"kubernetes.doorService is not a known key; did you mean receiverService\?"):
        read(changed("kubernetes", {"image": IMAGE, "doorService": "NodePort", "receiverService": "NodePort"}), project)


def test_a_budget_in_another_currency_is_no_budget(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"budget\.eurPerDay is not a known key; did you mean usdPerDay\?"):
        read(changed("budget", {"eurPerDay": 3}), project)


def test_a_cluster_needs_a_key_for_the_door_and_one_for_the_exporter_that_it_runs() -> None:
    def needed(**kubernetes: Any) -> list[str]:
        return needed_secrets(StackConfig.model_validate({**GOOD, "kubernetes": {"image": IMAGE, **kubernetes}}))

    assert needed() == [*SECRETS, "metricsKey", "exporterMarketKey"]
    assert needed(mode="existing", prometheus="http://prometheus:9090") == [*SECRETS, "metricsKey"]
    assert needed_secrets(StackConfig.model_validate(GOOD)) == list(SECRETS)


def test_grafanas_password_is_not_the_key() -> None:
    made = grafana_password("a key of the stack")

    assert made == grafana_password("a key of the stack") != grafana_password("another key")
    assert len(made) == 24


def test_in_a_cluster_of_its_own_the_receiver_has_a_fixed_port_of_the_node() -> None:
    def service(**more: Any) -> dict[str, Any]:
        stack = StackConfig.model_validate({**GOOD, "kubernetes": {"image": IMAGE}, **more})
        found = {one["metadata"]["name"]: one for one in receiver(settings_of(stack))}
        spec: dict[str, Any] = found["door-outside"]["spec"]
        return spec

    own = service(cluster={**CLUSTER, "receiverPort": 31000})
    assert (own["type"], own["ports"][0]["nodePort"]) == ("NodePort", 31000)
    assert service()["type"] == "LoadBalancer"
    assert "nodePort" not in service()["ports"][0]
