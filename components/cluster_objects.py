"""Makes Pulumi resources from manifests and Secrets in one namespace of a cluster, under the mark of the stack."""

import base64
import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from config.cluster_place import ClusterPlace
from monitoring.kubernetes import marks
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
TLS, TLS_KEYS = "kubernetes.io/tls", frozenset({"tls.crt", "tls.key"})
SECRET_DIGEST = "gpu-fleet/secret-digest"  # noqa: S105 -- a changed key restarts the pod: programs read their keys once

Secrets = Mapping[str, Mapping[str, pulumi.Output[str]]]  # values by key by name of the Secret


@dataclass(frozen=True)
class ClusterTarget:
    """The cluster that objects go to. `provider`: the name of the resource that reaches it; `kubeconfig`: its text.

    `mark_key`: a secret of the stack, from which the mark of its objects follows. `digest_key`: a long random key,
    hashed with a Secret's values. Without it, a reader of the digest could guess a short value. Values that are all long and
    random need no such key.
    """

    provider: str
    cluster: ClusterPlace
    namespace: str
    kubeconfig: pulumi.Input[str]
    mark_key: pulumi.Output[str]
    digest_key: pulumi.Output[str] | None = None


class ClusterObjects:
    """Declares the objects of one component: one resource for each, all of them after the namespace."""

    def __init__(self, parent: pulumi.Resource, place: ClusterTarget, unawaited: Collection[str] = ()) -> None:
        """`unawaited`: names of Deployments and Services that the update does not wait for."""
        self._parent, self._place, self._unawaited = parent, place, unawaited
        own = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        # The mark is no secret, though it follows from a key that is one.
        self._mark = pulumi.Output.unsecret(place.mark_key.apply(lambda key: marks.mark_of(key, own)))
        self._options = pulumi.ResourceOptions(parent=parent)

    def declare(self, manifests: Sequence[Manifest], secrets: Secrets) -> None:
        """Make all objects."""
        place = self._place
        first = [documents.namespace(place.namespace)] if place.cluster.create_namespace else []
        files = [_secret(name, place.namespace, values) for name, values in secrets.items()]
        provider = self._provider([*first, *files, *manifests])
        self._options = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(provider=provider))
        made = [self._object(manifest) for manifest in first]
        claims = any(manifest["kind"] == "PersistentVolumeClaim" for manifest in manifests)
        if place.cluster.storage_class and claims:
            # Only read: without the class, the disks and so the pods would wait for ever.
            k8s.storage.v1.StorageClass.get("storage-class", place.cluster.storage_class, opts=self._options)
        self._options = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=made))
        read = [self._object(manifest) for manifest in files]
        read += [self._object(manifest) for manifest in manifests if manifest["kind"] == "ConfigMap"]
        digests = {
            component: digest_of(values, place.digest_key) for component, values in _by_component(secrets).items()
        }
        for manifest in manifests:
            digest = digests.get(manifest["metadata"]["name"])
            if manifest["kind"] == "Deployment":
                if digest:
                    manifest["spec"]["template"]["metadata"]["annotations"][SECRET_DIGEST] = digest
                # A pod that starts before its changed files are there keeps the old ones: no later update restarts it.
                self._object(manifest, after=read)
            elif manifest["kind"] != "ConfigMap":
                self._object(manifest)

    def _provider(self, everything: Sequence[Manifest]) -> k8s.Provider:
        place = self._place
        # If the provider says no, the plugin ignores its own variable. So the program reads it.
        allowed = os.environ.get(TAKE_OVER) == "true"
        takes_over = pulumi.Output.all(self._mark, place.kubeconfig).apply(
            lambda known: allowed or marks.may_take_over(known[1], place.cluster.context, everything, known[0])
        )
        return k8s.Provider(
            place.provider,
            # The kubeconfig holds credentials, which state and --diff would show.
            kubeconfig=pulumi.Output.secret(place.kubeconfig),
            context=place.cluster.context or None,
            namespace=place.namespace,
            # Change files in place: by default the plugin replaces them, and for a moment they do not exist.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            enable_patch_force=True,  # a field that was changed by hand is drift, and `up` repairs drift
            upsert_existing_objects=pulumi.Output.unsecret(takes_over),  # objects left by an update that was killed
        )

    def _object(self, manifest: Manifest, after: Sequence[pulumi.Resource] = ()) -> pulumi.Resource:
        manifest, kind = marks.marked(manifest, self._mark), (manifest["apiVersion"], manifest["kind"])
        content = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
        if not self._place.cluster.wait or content["metadata"]["name"] in self._unawaited:
            annotations = {**content["metadata"].get("annotations", {}), **SKIP_WAITING}
            content["metadata"] = {**content["metadata"], "annotations": annotations}
        name = f"{manifest['metadata']['name']}-{manifest['kind'].lower()}"
        make = KINDS.get(kind) or partial(k8s.apiextensions.CustomResource, api_version=kind[0], kind=kind[1])
        options = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=list(after)))
        made: pulumi.Resource = make(name, **content, opts=options)
        return made


def digest_of(values: Mapping[str, pulumi.Output[str]], key: pulumi.Output[str] | None) -> pulumi.Output[str]:
    """Return a digest of a Secret's values. It reveals none of them: the key is long and random, or each of them is."""
    ordered = [values[name] for name in sorted(values)] + ([key] if key is not None else [])
    return pulumi.Output.all(*ordered).apply(lambda each: hashlib.sha256("\0".join(each).encode()).hexdigest()[:16])


def component_of(secret: str) -> str:
    """Return the component whose pod reads a Secret, by its name."""
    return secret.partition("-")[0]


def _by_component(secrets: Secrets) -> dict[str, dict[str, pulumi.Output[str]]]:
    """Return the values that each component's pod reads."""
    found: dict[str, dict[str, pulumi.Output[str]]] = {}
    for name, values in secrets.items():
        found.setdefault(component_of(name), {}).update(values)
    return found


def _secret(name: str, namespace: str, values: Mapping[str, pulumi.Output[str]]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, namespace, component_of(name)),
        "type": TLS if values.keys() >= TLS_KEYS else "Opaque",
        "data": {
            key: value.apply(lambda text: base64.b64encode(text.encode()).decode()) for key, value in values.items()
        },
    }
