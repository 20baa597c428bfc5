"""Makes Pulumi resources from the manifests of `monitoring.kubernetes`, and the Secrets that the cluster's programs read."""

import base64
import hashlib
import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.cluster import grafana_password, pinning_advice, read_kubeconfig, settings_of
from config.kubernetes import KubernetesConfig
from config.messages import ConfigError
from config.secret_leaves import NONE, SecretLeaves
from config.stack import StackConfig
from monitoring import prometheus_config
from monitoring.kubernetes import marks
from monitoring.kubernetes import settings as names
from monitoring.kubernetes import stack as documents
from monitoring.kubernetes.objects import Manifest, metadata

KINDS: dict[tuple[str, str], Callable[..., Any]] = {
    ("v1", "Namespace"): k8s.core.v1.Namespace,
    ("v1", "Secret"): k8s.core.v1.Secret,
    ("v1", "ConfigMap"): k8s.core.v1.ConfigMap,
    ("v1", "PersistentVolumeClaim"): k8s.core.v1.PersistentVolumeClaim,
    ("v1", "Service"): k8s.core.v1.Service,
    ("apps/v1", "Deployment"): k8s.apps.v1.Deployment,
    ("networking.k8s.io/v1", "NetworkPolicy"): k8s.networking.v1.NetworkPolicy,
}
TAKE_OVER = "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"
SKIP_WAITING = {"pulumi.com/skipAwait": "true"}
SECRET_DIGEST = "gpu-fleet/secret-digest"  # noqa: S105 -- a changed key restarts the pod: programs read their keys once


@dataclass(frozen=True)
class Keys:
    """The keys of the cluster's programs. `webhook` and `watchdog` are URLs that alerts go to."""

    metrics: pulumi.Output[str]
    market: pulumi.Output[str]
    store_access: pulumi.Output[str]
    store_secret: pulumi.Output[str]
    webhook: pulumi.Output[str] | None = None
    watchdog: pulumi.Output[str] | None = None


class Observability(pulumi.ComponentResource):
    """`gpu-fleet:components:Observability`: one resource for each object, all of them after the namespace.

    Outputs: `namespace`, `grafana_password` (secret; derived from `metricsKey`, so that the operator need not choose one).
    """

    namespace: str
    grafana_password: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        stack: StackConfig,
        keys: Keys,
        kubeconfig: str,
        secret_leaves: SecretLeaves = NONE,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gpu-fleet:components:Observability", name, None, opts)
        assert stack.kubernetes is not None
        cluster = stack.kubernetes
        self.namespace = cluster.namespace
        self.grafana_password = keys.metrics.apply(grafana_password)
        secrets = self._secrets(cluster, keys)
        make = documents.plain if cluster.mode == "plain" else documents.existing
        first = [documents.namespace(cluster.namespace)] if cluster.create_namespace else []
        manifests = [*make(settings_of(stack, secret_leaves))]
        files = [_secret(secret, cluster.namespace, values) for secret, values in secrets.items()]
        own = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        # The mark is no secret, though it follows from a key that is one.
        self._mark = pulumi.Output.unsecret(keys.metrics.apply(lambda key: marks.mark_of(key, own)))
        everything = [*first, *files, *manifests]
        # If the provider says no, the plugin ignores its own variable. So the program reads it.
        allowed = os.environ.get(TAKE_OVER) == "true"
        takes_over = self._mark.apply(
            lambda mark: allowed or marks.may_take_over(kubeconfig, cluster.context, everything, mark)
        )
        # The kubeconfig holds credentials, which state and --diff would show.
        reached = pulumi.Output.secret(kubeconfig)
        provider = k8s.Provider(
            "kubernetes",
            kubeconfig=reached,
            context=cluster.context or None,
            namespace=cluster.namespace,
            # Change files in place: by default the plugin replaces them, and for a moment they do not exist.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            enable_patch_force=True,  # a field that was changed by hand is drift, and `up` repairs drift
            upsert_existing_objects=takes_over,  # objects left by an update that was killed
        )
        self._options = pulumi.ResourceOptions(parent=self, provider=provider)
        self._wait = cluster.wait
        made = [self._object(manifest) for manifest in first]
        if cluster.storage_class and cluster.mode == "plain":
            # Only read: without the class, the disks and so the pods would wait for ever.
            k8s.storage.v1.StorageClass.get("storage-class", cluster.storage_class, opts=self._options)
        self._options = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=made))
        for manifest in files:
            self._object(manifest)
        digests = {_component(secret): digest_of(values) for secret, values in secrets.items()}
        for manifest in manifests:
            digest = digests.get(manifest["metadata"]["name"])
            if manifest["kind"] == "Deployment" and digest:
                manifest["spec"]["template"]["metadata"]["annotations"][SECRET_DIGEST] = digest
            self._object(manifest)
        self.register_outputs({"namespace": self.namespace})

    def _secrets(self, cluster: KubernetesConfig, keys: Keys) -> dict[str, dict[str, pulumi.Output[str]]]:
        receiver = {names.RECEIVER_SECRET: {names.RECEIVER_KEY: keys.metrics}}
        if cluster.mode == "existing":
            return receiver
        exporter = dict(zip(names.EXPORTER_KEYS, (keys.market, keys.store_access, keys.store_secret), strict=True))
        alerting = pulumi.Output.all(keys.webhook, keys.watchdog).apply(
            lambda urls: yaml.safe_dump(prometheus_config.alertmanager(*(url or "" for url in urls)), sort_keys=False)
        )
        return {
            **receiver,
            names.EXPORTER_SECRET: exporter,
            names.GRAFANA_SECRET: {names.GRAFANA_PASSWORD: self.grafana_password},
            names.ALERTMANAGER_SECRET: {names.ALERTMANAGER_FILE: alerting},
        }

    def _object(self, manifest: Manifest) -> pulumi.Resource:
        manifest, kind = marks.marked(manifest, self._mark), (manifest["apiVersion"], manifest["kind"])
        content = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
        if not self._wait:
            annotations = {**content["metadata"].get("annotations", {}), **SKIP_WAITING}
            content["metadata"] = {**content["metadata"], "annotations": annotations}
        name = f"{manifest['metadata']['name']}-{manifest['kind'].lower()}"
        make = KINDS.get(kind) or partial(k8s.apiextensions.CustomResource, api_version=kind[0], kind=kind[1])
        made: pulumi.Resource = make(name, **content, opts=self._options)
        return made


def digest_of(values: dict[str, pulumi.Output[str]]) -> pulumi.Output[str]:
    """Return a digest of a Secret's values. It reveals none of them, because keys are long and random."""
    ordered = [values[key] for key in sorted(values)]
    return pulumi.Output.all(*ordered).apply(lambda each: hashlib.sha256("\0".join(each).encode()).hexdigest()[:16])


def _secret(name: str, namespace: str, values: dict[str, pulumi.Output[str]]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, namespace, _component(name)),
        "type": "Opaque",
        "data": {
            key: value.apply(lambda text: base64.b64encode(text.encode()).decode()) for key, value in values.items()
        },
    }


def _component(secret: str) -> str:
    return secret.partition("-")[0]


def observe(
    stack: StackConfig, source: pulumi.Config, known: Container[str], project: Path, secret_leaves: SecretLeaves = NONE
) -> dict[str, Any]:
    """Declare the cluster's monitoring. Return an export: the namespace, and the way to Grafana.

    `known` are the config keys that have a value. Raises pulumi.RunError if the kubeconfig cannot be read.
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
    try:
        made = Observability("observability", stack, keys, kubeconfig, secret_leaves)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    if stack.kubernetes.mode == "existing":
        return {"namespace": made.namespace}
    reach = f"kubectl --namespace {made.namespace} port-forward service/grafana 3000"
    grafana = {"reach": reach, "user": "admin", "password": made.grafana_password}
    return {"namespace": made.namespace, "grafana": grafana}
