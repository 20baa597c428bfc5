"""What the program makes of `gpu-fleet:controller.kubernetes` before any cluster is asked."""

from pathlib import Path
from typing import Any

import pytest

from components.controller import (
    SECTION,
    environment,
    pinning_advice,
    postgres_password,
    read_encryption,
    read_passphrase,
    uses_store_keys,
)
from components.kubernetes_settings import controller_cluster, read_kubeconfig, stack_file, watched_controller
from config.controller_kubernetes import ControllerKubernetesConfig
from config.messages import ConfigError
from config.stack import StackConfig
from tests.config.test_reading import GOOD, changed, project, read

__all__ = ["project"]
IMAGE = "registry.example/me/gpu-fleet-controller:1"
ELASTIC = {"chat": {**GOOD["fleets"]["chat"], "replicas": {"max": 2}}}
BACKEND = "s3://bucket/state"
WATCHING = {"image": "example/monitoring:1"}


def section(**given: Any) -> ControllerKubernetesConfig:
    return ControllerKubernetesConfig.model_validate({"image": IMAGE, **given})


def stack(kubernetes: dict[str, Any] | None = None, fleets: Any = None, **given: Any) -> StackConfig:
    controller = {"backend": BACKEND, "kubernetes": {"image": IMAGE, **given}}
    more = {"kubernetes": kubernetes} if kubernetes else {}
    return StackConfig.model_validate({**GOOD, "fleets": fleets or ELASTIC, "controller": controller, **more})


def test_only_a_stack_with_an_elastic_fleet_gets_a_controller() -> None:
    assert stack().cluster_controller == section()
    assert stack(fleets=GOOD["fleets"]).cluster_controller is None
    assert StackConfig.model_validate({**GOOD, "fleets": ELASTIC}).cluster_controller is None


@pytest.mark.parametrize(
    ("controller", "said"),
    [
        ({"backend": "file:///srv/state"}, "cannot reach file:///srv/state, which is a folder of one machine"),
        ({}, "needs `backend`, the URL of the state backend that you and it share"),
    ],
)
def test_a_backend_that_no_cluster_reaches_is_refused(project: Path, controller: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(changed("controller", {**controller, "kubernetes": {"image": IMAGE}}), project)
    assert said in str(caught.value)
    assert "s3://BUCKET/PREFIX" in str(caught.value)


def test_states_in_a_bucket_that_a_destroy_empties_are_refused(project: Path) -> None:
    def config(bucket: str, on_destroy: str) -> dict[str, Any]:
        controller = {"backend": f"s3://{bucket}/state?region=fsn1"}
        return {**changed("controller", controller), "store": {**GOOD["store"], "onDestroy": on_destroy}}

    with pytest.raises(ConfigError, match=r"a destroy would delete all of them; give them a bucket of their own"):
        read(config(GOOD["store"]["bucket"], "empty"), project)
    for bucket, on_destroy in ((GOOD["store"]["bucket"], "keep"), ("states", "empty")):
        assert read(config(bucket, on_destroy), project).controller.backend.startswith("s3://")


@pytest.mark.parametrize(
    ("kubernetes", "said"),
    [
        ({}, "controller.kubernetes.image is missing"),
        ({"image": IMAGE, "networks": ["10.0.0.1/8"]}, "10.0.0.1/8 is no network; write it as 10.0.0.0/16"),
        ({"image": IMAGE, "clientNamespaces": ["No_Name"]}, "No_Name is no name of a namespace"),
        ({"image": IMAGE, "environment": {"A B": "c"}}, "A B is no name of a variable"),
        ({"image": IMAGE, "environment": {"PULUMI_HOME": "/x"}}, "PULUMI_HOME is set by the program"),
        ({"image": IMAGE, "storage": 3}, "did you mean storageGb?"),
    ],
)
def test_mistakes_are_sentences(project: Path, kubernetes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(changed("controller", {"backend": BACKEND, "kubernetes": kubernetes}), project)
    assert said in str(caught.value)


def test_monitoring_and_controller_have_a_namespace_each(project: Path) -> None:
    config = changed("controller", {"backend": BACKEND, "kubernetes": {"image": IMAGE, "namespace": "gpu-fleet"}})
    with pytest.raises(
        ConfigError, match=r"controller\.kubernetes\.namespace is 'gpu-fleet', which .* has; choose another"
    ):
        read({**config, "kubernetes": WATCHING}, project)


def test_a_controller_in_the_cluster_needs_no_address_of_one_outside(project: Path) -> None:
    config = changed("controller", {"backend": BACKEND, "kubernetes": {"image": IMAGE}})
    watching = {**WATCHING, "controllerAddress": "fleet.example:8300"}
    with pytest.raises(
        ConfigError, match=r"kubernetes\.controllerAddress names a controller outside .* take one of the two out"
    ):
        read({**config, "kubernetes": watching}, project)
    assert read({**GOOD, "kubernetes": watching}, project).kubernetes is not None


def test_its_way_to_the_cluster_is_that_of_monitoring_unless_it_has_its_own() -> None:
    watching = stack({**WATCHING, "kubeconfig": "mine", "context": "here"})
    assert watching.kubernetes is not None

    def way(**given: str) -> tuple[str, str]:
        found = controller_cluster(section(**given), watching.kubernetes)
        return found.kubeconfig, found.context

    assert way() == ("mine", "here")
    assert way(context="there") == ("mine", "there")
    assert way(kubeconfig="other") == ("other", "")
    assert controller_cluster(section(), None) == section()


def test_prometheus_watches_the_controller_of_its_own_cluster() -> None:
    theirs = {"mode": "existing", "prometheus": "http://prometheus:9090"}

    assert watched_controller(stack(WATCHING)) == "gpu-fleet-controller"
    assert watched_controller(stack(WATCHING, kubeconfig="other")) == ""
    assert watched_controller(stack(WATCHING, context="other")) == ""
    assert watched_controller(stack({**WATCHING, **theirs})) == ""
    assert watched_controller(stack()) == ""
    assert watched_controller(stack(WATCHING, GOOD["fleets"])) == ""


def test_the_exporter_gets_nothing_of_the_controllers() -> None:
    config = stack(WATCHING, environment={"PULUMI_ACCESS_TOKEN": "a-token"})

    assert "a-token" not in stack_file(config)
    assert IMAGE not in stack_file(config)


def test_a_missing_kubeconfig_names_the_key_of_the_section(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"controller\.kubernetes\.kubeconfig: .*gone cannot be read .* run it elsewhere"
    ):
        read_kubeconfig(section(kubeconfig="gone"), tmp_path, {}, SECTION)


def test_the_bucket_of_a_state_is_opened_with_the_stores_keys_unless_config_has_others() -> None:
    assert uses_store_keys(section(), BACKEND)
    assert uses_store_keys(section(environment={"AWS_REGION": "eu"}), BACKEND)
    assert not uses_store_keys(section(environment={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}), BACKEND)
    assert not uses_store_keys(section(), "https://api.pulumi.com")


def test_the_passphrase_is_that_of_the_shell(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from the file\n")

    assert read_passphrase({"PULUMI_CONFIG_PASSPHRASE": "a", "PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}) == "a"
    assert read_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}) == "from the file"
    assert read_passphrase({}) is None
    with pytest.raises(ConfigError, match="names a file that cannot be read"):
        read_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "gone")})


def test_of_the_stacks_file_the_cluster_gets_how_it_encrypts_and_nothing_else(tmp_path: Path) -> None:
    salt = "v1:abc=:v1:def:ghi="
    (tmp_path / "Pulumi.dev.yaml").write_text(
        f"encryptionsalt: {salt}\nconfig:\n  gpu-fleet:vastApiKey:\n    secure: x\n"
    )
    (tmp_path / "Pulumi.wrong.yaml").write_text("[")

    assert read_encryption(tmp_path, "dev") == {"encryptionsalt": salt}
    assert read_encryption(tmp_path, "wrong") == read_encryption(tmp_path, "gone") == {}


def test_without_a_way_to_the_secrets_a_sentence_says_which_to_give() -> None:
    named = {"PULUMI_ACCESS_TOKEN": "t"}

    assert environment(section(), "words") == {"PULUMI_CONFIG_PASSPHRASE": "words"}
    assert environment(section(environment=named), None) == named
    with pytest.raises(ConfigError, match=r"this shell has no PULUMI_CONFIG_PASSPHRASE\. Set it; or"):
        environment(section(), None)


def test_the_databases_password_follows_from_the_stacks_secret_and_does_not_tell_it() -> None:
    made = postgres_password("5f" * 32)

    assert made == postgres_password("5f" * 32) != postgres_password("60" * 32)
    assert "5f5f" not in made
    assert len(made) == 64


def test_an_image_by_tag_is_warned_of_with_the_command() -> None:
    told = pinning_advice(IMAGE)

    assert f'pulumi config set --path gpu-fleet:controller.kubernetes.image "{IMAGE}@$(docker buildx' in told
    assert "{{.Manifest.Digest}}" in told
