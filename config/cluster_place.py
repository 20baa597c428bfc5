"""The keys that every section about a cluster has."""

from pydantic import Field

from config.base import Section

NAMESPACE = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
IMAGE = r"^[a-z0-9][a-z0-9._/:-]*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$"


class ClusterPlace(Section):
    """The way to a cluster, and the settings of all objects there."""

    kubeconfig: str = Field(
        "", description="Path of the kubeconfig. Default: kubectl's own (`KUBECONFIG`, else `~/.kube/config`)."
    )
    context: str = Field("", description="Context of the kubeconfig. Default: its current one.")
    create_namespace: bool = Field(
        True, alias="createNamespace", description="Whether to make the namespace, with Pod Security `restricted`."
    )
    storage_class: str = Field(
        "", alias="storageClass", description="Storage class of the disks. Default: the cluster's default class."
    )
    wait: bool = Field(True, description="Whether `up` waits until everything runs; false in a cluster without nodes.")
