"""The monitoring stack in a Kubernetes cluster: the manifests of `monitoring.kubernetes` as resources, and its Secrets."""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components import schema
from components.config import PROJECT, ConfigError
from components.watching import Kubernetes
from monitoring import alerts, config
from monitoring.kubernetes import documents
from monitoring.kubernetes import settings as names
from monitoring.kubernetes.images import unpinned
from monitoring.kubernetes.pods import Manifest, metadata

RUNBOOKS = alerts.RUNBOOKS
KINDS: dict[tuple[str, str], Callable[..., Any]] = {
    ("v1", "Namespace"): k8s.core.v1.Namespace,
    ("v1", "Secret"): k8s.core.v1.Secret,
    ("v1", "ConfigMap"): k8s.core.v1.ConfigMap,
    ("v1", "PersistentVolumeClaim"): k8s.core.v1.PersistentVolumeClaim,
    ("v1", "Service"): k8s.core.v1.Service,
    ("apps/v1", "Deployment"): k8s.apps.v1.Deployment,
    ("networking.k8s.io/v1", "NetworkPolicy"): k8s.networking.v1.NetworkPolicy,
}
SKIP_WAITING = {"pulumi.com/skipAwait": "true"}


@dataclass(frozen=True)
class Keys:
    """What the cluster's programs log in with; `webhook` and `watchdog` where alerts are told."""

    metrics: pulumi.Output[str]
    market: pulumi.Output[str]
    store_access: pulumi.Output[str]
    store_secret: pulumi.Output[str]
    webhook: pulumi.Output[str] | None = None
    watchdog: pulumi.Output[str] | None = None


class Observability(pulumi.ComponentResource):
    """`gpu-fleet:components:Observability`: one resource an object, each after the namespace.

    Outputs: `namespace`, `grafana_password` (secret; derived from `metricsKey`, so that nobody need choose one).
    """

    namespace: str
    grafana_password: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        stack: schema.StackConfig,
        keys: Keys,
        kubeconfig: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gpu-fleet:components:Observability", name, None, opts)
        assert stack.kubernetes is not None
        cluster = stack.kubernetes
        # Not a secret by itself, and it holds one: state and --diff would show it.
        reached = pulumi.Output.secret(kubeconfig)
        provider = k8s.Provider(
            "kubernetes",
            kubeconfig=reached,
            context=cluster.context or None,
            namespace=cluster.namespace,
            # Files that change are changed: by default the plugin makes them anew, and for a moment they are not there.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            enable_patch_force=True,  # a field that was changed by hand is drift, and `up` mends drift
        )
        self._options = pulumi.ResourceOptions(parent=self, provider=provider)
        self._wait = cluster.wait
        self.namespace = cluster.namespace
        self.grafana_password = keys.metrics.apply(grafana_password)
        first = [self._object(documents.namespace(cluster.namespace))] if cluster.create_namespace else []
        if cluster.storage_class and cluster.mode == "plain":
            # Only read: a class that is not there would leave the disks, and so the pods, waiting for good.
            k8s.storage.v1.StorageClass.get("storage-class", cluster.storage_class, opts=self._options)
        self._options = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=first))
        for secret, values in self._secrets(cluster, keys).items():
            self._object(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": metadata(secret, cluster.namespace, secret.partition("-")[0]),
                    "type": "Opaque",
                    "data": {key: value.apply(encoded) for key, value in values.items()},
                }
            )
        make = documents.plain if cluster.mode == "plain" else documents.existing
        for manifest in make(settings_of(stack)):
            self._object(manifest)
        self.register_outputs({"namespace": self.namespace})

    def _secrets(self, cluster: Kubernetes, keys: Keys) -> dict[str, dict[str, pulumi.Output[str]]]:
        door = {names.DOOR_SECRET: {names.DOOR_KEY: keys.metrics}}
        if cluster.mode == "existing":
            return door
        exporter = dict(zip(names.EXPORTER_KEYS, (keys.market, keys.store_access, keys.store_secret), strict=True))
        told = pulumi.Output.all(keys.webhook, keys.watchdog).apply(
            lambda urls: yaml.safe_dump(config.alertmanager(*(url or "" for url in urls)), sort_keys=False)
        )
        return {
            **door,
            names.EXPORTER_SECRET: exporter,
            names.GRAFANA_SECRET: {names.GRAFANA_PASSWORD: self.grafana_password},
            names.ALERTMANAGER_SECRET: {names.ALERTMANAGER_FILE: told},
        }

    def _object(self, manifest: Manifest) -> pulumi.Resource:
        kind = manifest["apiVersion"], manifest["kind"]
        content = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
        if not self._wait:
            marks = {**content["metadata"].get("annotations", {}), **SKIP_WAITING}
            content["metadata"] = {**content["metadata"], "annotations": marks}
        name = f"{manifest['metadata']['name']}-{manifest['kind'].lower()}"
        make = KINDS.get(kind) or partial(k8s.apiextensions.CustomResource, api_version=kind[0], kind=kind[1])
        made: pulumi.Resource = make(name, **content, opts=self._options)
        return made


def observe(stack: schema.StackConfig, source: pulumi.Config, known: set[str], project: Path) -> dict[str, Any]:
    """Declare the cluster's monitoring; return where it is and how Grafana is reached, as an export.

    `known` are the config keys that are set. Raises pulumi.RunError where the kubeconfig cannot be read.
    """
    assert stack.kubernetes is not None
    try:
        kubeconfig = read_kubeconfig(stack.kubernetes, project, os.environ)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    if advice := pinning_advice(stack.kubernetes):
        pulumi.log.warn(advice)

    def optional(key: str) -> pulumi.Output[str] | None:
        return source.require_secret(key) if key in known else None

    keys = Keys(
        metrics=source.require_secret("metricsKey"),
        market=source.get_secret("exporterMarketKey") or pulumi.Output.from_input(""),
        store_access=source.require_secret("storeAccessKey"),
        store_secret=source.require_secret("storeSecretKey"),
        webhook=optional("alertWebhook"),
        watchdog=optional("watchdogWebhook"),
    )
    made = Observability("observability", stack, keys, kubeconfig)
    if stack.kubernetes.mode == "existing":
        return {"namespace": made.namespace}
    reach = f"kubectl --namespace {made.namespace} port-forward service/grafana 3000"
    grafana = {"reach": reach, "user": "admin", "password": made.grafana_password}
    return {"namespace": made.namespace, "grafana": grafana}


def settings_of(stack: schema.StackConfig) -> names.Settings:
    """Return what the manifests are made from."""
    assert stack.kubernetes is not None
    cluster = stack.kubernetes
    return names.Settings(
        namespace=cluster.namespace,
        image=cluster.image,
        stack_file=stack_file(stack),
        runbooks=RUNBOOKS,
        digests=cluster.digests,
        door_certificate=cluster.door_certificate,
        door_service=cluster.door_service,
        door_annotations=cluster.door_annotations,
        storage_class=cluster.storage_class,
        storage_gb=cluster.storage_gb,
        retention_days=cluster.retention_days,
        prometheus_url=cluster.prometheus,
        rule_labels=cluster.rule_labels,
    )


def stack_file(stack: schema.StackConfig) -> str:
    """Write the stack's config as a config file for the exporter; no secret is in it."""
    content = stack.model_dump(by_alias=True, mode="json", exclude={"kubernetes"}, exclude_defaults=True)
    return yaml.safe_dump({"config": {f"{PROJECT}:{key}": value for key, value in content.items()}}, width=1000)


def read_kubeconfig(cluster: Kubernetes, project: Path, environ: Mapping[str, str]) -> str:
    """Return the text of the kubeconfig. Raises ConfigError."""
    usual = (environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)[0]
    path = project / Path(cluster.kubeconfig or usual).expanduser()
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigError(
            f"{PROJECT}:kubernetes.kubeconfig: {path} cannot be read ({error.strerror}). Name the file that leads to the "
            f"cluster, or take {PROJECT}:kubernetes out of the config: hosts then serve without a cluster that watches them."
        ) from None


def grafana_password(metrics_key: str) -> str:
    """Return the password of Grafana's user admin."""
    return hmac.new(metrics_key.encode(), b"grafana", hashlib.sha256).hexdigest()[:24]


def pinning_advice(cluster: Kubernetes) -> str:
    """Return a warning with the commands that pin the images; empty where all are, and where nothing runs."""
    if not cluster.wait:
        return ""
    commands = unpinned(cluster.digests, cluster.image)
    if cluster.mode == "existing":
        commands = commands[-1:] if "@" not in cluster.image and "monitoring" not in cluster.digests else []
    if not commands:
        return ""
    told = "\n".join(f"  {command}" for command in commands)
    which = "an image" if len(commands) == 1 else f"{len(commands)} images"
    return f"Tags can be moved by others, and the cluster runs {which} by tag alone. Pin by digest:\n{told}"


def encoded(text: str) -> str:
    """Write a Secret's value."""
    return base64.b64encode(text.encode()).decode()
