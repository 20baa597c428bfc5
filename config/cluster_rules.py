"""Check other sections against the section `cluster`: the cluster is the stack's own, so that no other way leads there."""

from config.base import PROJECT, path_of
from config.cluster import ClusterConfig
from config.cluster_place import ClusterPlace
from config.controller_kubernetes import ControllerKubernetesConfig
from config.kubernetes import KubernetesConfig
from config.monitoring import MetricsConfig
from config.stack import StackConfig


def cluster_mistakes(config: StackConfig) -> list[str]:
    """Return a sentence for each key that contradicts the section `cluster`, or that is missing without it."""
    mistakes = []
    derived = config.cluster is not None and config.kubernetes is not None
    if config.metrics and not config.metrics.url and not derived:
        path = path_of("metrics", "url")
        mistakes.append(f"{path} is missing; set it with: pulumi config set --path '{path}' VALUE")
    if config.cluster is None:
        return mistakes
    if config.kubernetes:
        mistakes += [*_other_ways(config.kubernetes, "kubernetes"), *_unfit(config.kubernetes, config)]
    if config.controller.kubernetes:
        mistakes += _other_ways(config.controller.kubernetes, "controller.kubernetes")
    return [*mistakes, *_opens_to_nobody(config.cluster, config.controller.kubernetes)]


def reporting(config: StackConfig) -> StackConfig:
    """Return the config with the section `metrics`, if the stack has its own receiver and does not say how to report."""
    own = config.cluster is not None and config.kubernetes is not None
    return config.model_copy(update={"metrics": MetricsConfig()}) if own and config.metrics is None else config


def _other_ways(place: ClusterPlace, section: str) -> list[str]:
    given = {"kubeconfig": place.kubeconfig, "context": place.context}
    return [
        f"{PROJECT}:{section}.{key} is {value!r}, and {PROJECT}:cluster makes the cluster; take one of the two out."
        for key, value in given.items()
        if value
    ]


def _opens_to_nobody(cluster: ClusterConfig, controller: ControllerKubernetesConfig | None) -> list[str]:
    if cluster.api_port is None:
        return []
    path = path_of("cluster", "apiPort")
    if controller is None:
        mistake = (
            f"{path} is {cluster.api_port}, and the cluster has no controller whose API it could serve; take it out, or "
            f"describe the controller in {PROJECT}:controller.kubernetes."
        )
        return [mistake]
    if controller.client_networks:
        return []
    networks = path_of("controller", "kubernetes", "clientNetworks") + "[0]"
    mistake = (
        f"{path} is {cluster.api_port}, and no network may come in there; name your clients' with: "
        f"pulumi config set --path '{networks}' 198.51.100.0/24"
    )
    return [mistake]


def _unfit(own: KubernetesConfig, config: StackConfig) -> list[str]:
    mistakes = []
    if own.mode != "plain":
        mistakes.append(
            f"{path_of('kubernetes', 'mode')} is {own.mode!r}, and the cluster that {PROJECT}:cluster makes has no "
            "Prometheus yet; take plain, the default."
        )
    if "receiver_service" in own.model_fields_set and own.receiver_service != "NodePort":
        mistakes.append(
            f"{path_of('kubernetes', 'receiverService')} is {own.receiver_service!r}, and in the cluster that "
            f"{PROJECT}:cluster makes, only NodePort is reached from outside; take the key out. For a load balancer, set "
            f"{path_of('cluster', 'loadBalancer')} to true."
        )
    if "receiver_certificate" in own.model_fields_set and config.metrics and not config.metrics.url:
        mistakes.append(
            f"{path_of('kubernetes', 'receiverCertificate')} names a certificate of yours, and hosts must know the "
            f"name in it: set {path_of('metrics', 'url')} too, or take the key out, and the stack's CA signs one."
        )
    return mistakes
