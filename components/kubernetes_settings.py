"""Reads the stack's Kubernetes sections before any call to a cluster: the kubeconfig, and the settings of the manifests."""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from config.base import PROJECT
from config.cluster_place import ClusterPlace
from config.controller_kubernetes import ControllerKubernetesConfig
from config.kubernetes import KubernetesConfig
from config.messages import ConfigError
from config.secret_leaves import NONE, SecretLeaves
from config.stack import StackConfig
from monitoring.alerts import RUNBOOKS
from monitoring.kubernetes.images import IMAGES, unpinned
from monitoring.kubernetes.settings import Settings

WITHOUT = {  # the thing that a stack lacks without each section
    "kubernetes": "a cluster that watches them",
    "controller.kubernetes": "a controller in a cluster, and you run it elsewhere",
}


def settings_of(stack: StackConfig, secret_leaves: SecretLeaves = NONE) -> Settings:
    """Return the settings of the manifests."""
    assert stack.kubernetes is not None
    more = {
        "stack_file": stack_file(stack, secret_leaves),
        "runbooks": RUNBOOKS,
        "controller_namespace": watched_controller(stack),
        **(
            {"receiver_service": "NodePort", "receiver_node_port": stack.cluster.receiver_port} if stack.cluster else {}
        ),
    }
    return Settings.model_validate({**stack.kubernetes.model_dump(), **more})


def controller_cluster(
    own: ControllerKubernetesConfig, watching: KubernetesConfig | None
) -> ControllerKubernetesConfig:
    """Return the controller's section with the way to its cluster: its own, else that of monitoring."""
    if watching is None or own.kubeconfig:
        return own
    return own.model_copy(update={"kubeconfig": watching.kubeconfig, "context": own.context or watching.context})


def watched_controller(stack: StackConfig) -> str:
    """Return the controller's namespace if it is in the cluster in which monitoring makes Prometheus; else an empty text."""
    own, watching = stack.cluster_controller, stack.kubernetes
    if own is None or watching is None or watching.mode != "plain":
        return ""
    way = controller_cluster(own, watching)
    same = (way.kubeconfig, way.context) == (watching.kubeconfig, watching.context)
    return own.namespace if same else ""


def stack_file(stack: StackConfig, secret_leaves: SecretLeaves = NONE) -> str:
    """Return the stack's config as a config file for the exporter: without secrets, vLLM's environment and registry logins.

    The text is JSON, because every dialect of YAML reads it alike. Raises ConfigError if the exporter needs a secret leaf.
    """
    left_out: Any = {"cluster": True, "kubernetes": True, "controller": True, "clients": True, "policy": True}
    left_out["fleets"] = {"__all__": {"environment", "registry"}}
    content = secret_leaves.without(
        stack.model_dump(by_alias=True, mode="json", exclude=left_out, exclude_defaults=True)
    )
    if stack.kubernetes is not None:
        for section, key, value in (
            ("market", "url", stack.kubernetes.market_url),
            ("store", "endpoint", stack.kubernetes.store_endpoint),
        ):
            if value:
                content[section] = {**content.get(section, {}), key: value}
    try:
        StackConfig.model_validate(content)
    except ValidationError as error:
        lacking = ", ".join(f"{PROJECT}:{'.'.join(map(str, row['loc']))}" for row in error.errors())
        raise ConfigError(
            f"{lacking}: the exporter in the cluster needs it in plain, and it is secret. Set it again with --plaintext."
        ) from None
    return json.dumps({"config": {f"{PROJECT}:{key}": value for key, value in content.items()}}, indent=1)


def read_kubeconfig(
    cluster: ClusterPlace, project: Path, environ: Mapping[str, str], section: str = "kubernetes"
) -> str:
    """Return the text of the kubeconfig. `section` is the path of the keys in stack config.

    Raises ConfigError, also if it lacks the context: Pulumi's plugin would notice that in `up` only.
    """
    usual = (environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)[0]
    path = project / Path(cluster.kubeconfig or usual).expanduser()
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(
            f"{PROJECT}:{section}.kubeconfig: {path} cannot be read ({error.strerror}). Name the file that leads to the "
            f"cluster, or take {PROJECT}:{section} out of the config: hosts then serve without {WITHOUT[section]}."
        ) from None
    try:
        document = yaml.safe_load(text)
        known = [row["name"] for row in document["contexts"]]
        wanted = cluster.context or document["current-context"]
    except (yaml.YAMLError, KeyError, TypeError):
        raise ConfigError(f"{PROJECT}:{section}.kubeconfig: {path} is no kubeconfig with contexts.") from None
    if wanted not in known:
        names = ", ".join(map(str, known)) or "none"
        raise ConfigError(f"{PROJECT}:{section}.context: {path} has no context {wanted!r} (it has: {names}).")
    return text


def grafana_password(metrics_key: str) -> str:
    """Return the password of Grafana's user admin, derived from the metrics key."""
    return hmac.new(metrics_key.encode(), b"grafana", hashlib.sha256).hexdigest()[:24]


def pinning_advice(cluster: KubernetesConfig) -> str:
    """Return a warning with the commands that pin the images; empty if all are pinned, or if no pod is waited for."""
    if not cluster.wait:
        return ""
    commands = unpinned(cluster.digests, cluster.image, IMAGES if cluster.mode == "plain" else {})
    if not commands:
        return ""
    lines = "\n".join(f"  {command}" for command in commands)
    which = "an image" if len(commands) == 1 else f"{len(commands)} images"
    return f"Tags can be moved by others, and the cluster runs {which} by tag alone. Pin by digest:\n{lines}"
