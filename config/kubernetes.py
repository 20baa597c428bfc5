"""The section `kubernetes` of stack config."""

import re

from pydantic import AliasChoices, Field, field_validator, model_validator

from config.cluster_place import IMAGE, NAMESPACE, ClusterPlace

IMAGES = ("prometheus", "alertmanager", "grafana", "monitoring")  # whose digests can be pinned; the last is our own
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


class KubernetesConfig(ClusterPlace):
    """The cluster for Prometheus, Alertmanager, Grafana, the receiver and the exporter. Without this section there is none.

    Nothing else in the cluster is touched, and no role or binding is made.
    """

    namespace: str = Field(
        "gpu-fleet",
        pattern=NAMESPACE,
        description="Namespace for everything; one stack has it for itself.",
    )
    mode: str = Field(
        "plain",
        pattern="^(plain|existing)$",
        description="`plain` makes the whole stack; `existing` only rules, dashboards and the receiver, for a Prometheus and "
        "a Grafana that are there already.",
    )
    image: str = Field(
        pattern=IMAGE,
        description="Image of receiver and exporter, made from `Containerfile`, in a registry that the cluster uses.",
    )
    digests: dict[str, str] = Field(
        default_factory=dict,
        description="`sha256:...` by image (prometheus, alertmanager, grafana, monitoring); docs/kubernetes.md has the "
        "command that fills them.",
    )
    storage_gb: int = Field(20, alias="storageGb", ge=1, description="Disk of Prometheus in GiB.")
    retention_days: int = Field(30, alias="retentionDays", ge=1, description="Days for which Prometheus keeps samples.")
    receiver_certificate: str = Field(
        "door-certificate",
        alias="receiverCertificate",
        validation_alias=AliasChoices("receiverCertificate", "doorCertificate"),
        description="Secret of type kubernetes.io/tls with the receiver's certificate, as cert-manager makes it.",
    )
    receiver_service: str = Field(
        "LoadBalancer",
        alias="receiverService",
        validation_alias=AliasChoices("receiverService", "doorService"),
        pattern="^(LoadBalancer|NodePort|ClusterIP)$",
        description="How hosts outside the cluster reach the receiver.",
    )
    receiver_annotations: dict[str, str] = Field(
        default_factory=dict,
        alias="receiverAnnotations",
        validation_alias=AliasChoices("receiverAnnotations", "doorAnnotations"),
        description="Annotations of that service, for its load balancer.",
    )
    market_url: str = Field(
        "",
        alias="marketUrl",
        pattern=r"^(https?://[^\s@]+)?$",
        description="URL of the market as the exporter's pod reaches it, at port 443, if it differs from `market.url`.",
    )
    store_endpoint: str = Field(
        "",
        alias="storeEndpoint",
        pattern=r"^(https?://[^/?#\s@]+/?)?$",
        description="URL of the S3 API as the exporter's pod reaches it, at port 443, if it differs from `store.endpoint`.",
    )
    controller_address: str = Field(
        "",
        alias="controllerAddress",
        pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?:[0-9]{1,5})?$",
        description="Address, HOST:PORT, of a controller that runs outside the cluster: Prometheus reads its metrics there. "
        "A controller in the cluster needs none.",
    )
    prometheus: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="With `existing`: URL of the Prometheus as the receiver reaches it; it must take remote writes.",
    )
    rule_labels: dict[str, str] = Field(
        default_factory=dict,
        alias="ruleLabels",
        description="With `existing`: labels by which the Prometheus operator selects rules.",
    )

    @field_validator("digests")
    @classmethod
    def _known_digests(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [f"{name}: {digest}" for name, digest in value.items() if not DIGEST.match(digest)]
        wrong += [f"{name} is no image of ours" for name in value.keys() - set(IMAGES)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}; a digest is sha256: and 64 hex digits, for {', '.join(IMAGES)}")
        return value

    @model_validator(mode="after")
    def _own_prometheus_reads(self) -> "KubernetesConfig":
        if self.controller_address and self.mode == "existing":
            raise ValueError(
                "controllerAddress is for the Prometheus that plain makes; let your own one read the controller"
            )
        return self

    @model_validator(mode="after")
    def _prometheus_where_it_exists(self) -> "KubernetesConfig":
        if (self.mode == "existing") != bool(self.prometheus):
            raise ValueError("mode existing needs the URL of the Prometheus in `prometheus`, and plain makes its own")
        return self
