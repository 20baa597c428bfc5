"""Makes Pulumi resources from the manifests of `monitoring.kubernetes`, and the Secrets that the cluster's programs read."""

import os
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml

from components.cluster_objects import ClusterObjects, ClusterTarget
from components.kubernetes_settings import grafana_password, pinning_advice, read_kubeconfig, settings_of
from config.kubernetes import KubernetesConfig
from config.messages import ConfigError
from config.secret_leaves import NONE, SecretLeaves
from config.stack import StackConfig
from monitoring import prometheus_config
from monitoring.kubernetes import settings as names
from monitoring.kubernetes import stack as documents


@dataclass(frozen=True)
class Keys:
    """The keys of the cluster's programs. `webhook` and `watchdog` are URLs that alerts go to.

    `certificate`: the receiver's and its key, PEM, if the stack's CA signs it.
    """

    metrics: pulumi.Output[str]
    market: pulumi.Output[str]
    store_access: pulumi.Output[str]
    store_secret: pulumi.Output[str]
    webhook: pulumi.Output[str] | None = None
    watchdog: pulumi.Output[str] | None = None
    certificate: tuple[pulumi.Output[str], pulumi.Output[str]] | None = None


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
        kubeconfig: pulumi.Input[str],
        secret_leaves: SecretLeaves = NONE,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("gpu-fleet:components:Observability", name, None, opts)
        assert stack.kubernetes is not None
        cluster = stack.kubernetes
        self.namespace = cluster.namespace
        self.grafana_password = keys.metrics.apply(grafana_password)
        make = documents.plain if cluster.mode == "plain" else documents.existing
        place = ClusterTarget("kubernetes", cluster, cluster.namespace, kubeconfig, keys.metrics)
        objects = ClusterObjects(self, place)
        objects.declare(make(settings_of(stack, secret_leaves)), self._secrets(cluster, keys))
        self.register_outputs({"namespace": self.namespace})

    def _secrets(self, cluster: KubernetesConfig, keys: Keys) -> dict[str, dict[str, pulumi.Output[str]]]:
        receiver = {names.RECEIVER_SECRET: {names.RECEIVER_KEY: keys.metrics}}
        if keys.certificate:
            receiver[cluster.receiver_certificate] = dict(zip(names.TLS_KEYS, keys.certificate, strict=True))
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


@dataclass(frozen=True)
class OwnCluster:
    """The cluster that the stack itself makes. `certificate`: the receiver's and its key, if hosts reach it there."""

    kubeconfig: pulumi.Output[str]
    certificate: tuple[pulumi.Output[str], pulumi.Output[str]] | None = None


def observe(
    stack: StackConfig,
    source: pulumi.Config,
    known: Container[str],
    project: Path,
    secret_leaves: SecretLeaves = NONE,
    own: OwnCluster | None = None,
) -> dict[str, Any]:
    """Declare the cluster's monitoring. Return an export: the namespace, and the way to Grafana.

    `known` are the config keys that have a value; `own`: the stack's own cluster. Raises pulumi.RunError if another
    cluster's kubeconfig cannot be read.
    """
    assert stack.kubernetes is not None
    try:
        kubeconfig = own.kubeconfig if own else read_kubeconfig(stack.kubernetes, project, os.environ)
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
        certificate=own.certificate if own else None,
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
