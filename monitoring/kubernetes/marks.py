"""Marks a stack's objects in a cluster, and decides whether the program may take over existing objects.

An update that was killed leaves objects that its state does not know. By default Pulumi's plugin refuses to create an
object that exists. Its provider can allow it to take over any object, by any maker. The program allows that only if each
existing object of ours carries this stack's mark.
"""

import hashlib
import hmac
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from pydantic import BaseModel, Field, ValidationError

from monitoring.kubernetes.objects import Manifest
from providers.kubeconfig import KubeconfigError, reach

ANNOTATION = "gpu-fleet/stack"
SECONDS = 5.0  # for one answer
AT_ONCE = 8
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"  # no Secret's values travel


class _Metadata(BaseModel):
    annotations: dict[str, str] = Field(default_factory=dict)


class _Object(BaseModel):
    metadata: _Metadata


def mark_of(metrics_key: str, stack: str) -> str:
    """Return the mark of a stack by its qualified name. Two stacks of one name have different keys, so different marks."""
    return hmac.new(metrics_key.encode(), f"mark of {stack}".encode(), hashlib.sha256).hexdigest()[:16]


def marked(manifest: Manifest, mark: Any) -> Manifest:
    """Return a manifest with the mark. The mark may be a Pulumi output."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION: mark}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def may_take_over(kubeconfig: str, context: str, manifests: Sequence[Manifest], mark: str) -> bool:
    """Ask the cluster of a kubeconfig, as `all_ours` does. Return False if the kubeconfig does not open the cluster."""
    try:
        client, _namespace = reach(kubeconfig, context)
    except KubeconfigError:
        return False
    with client:
        return all_ours(client, manifests, mark)


def all_ours(client: httpx.Client, manifests: Sequence[Manifest], mark: str) -> bool:
    """Return True if each object is absent from the cluster or carries the mark; False if the cluster does not say."""
    client.timeout = httpx.Timeout(SECONDS)
    try:
        # The first object alone decides for a cluster that does not answer, and for a namespace of another owner.
        if not all(_is_ours(client, one, mark) for one in manifests[:1]):
            return False
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return all(pool.map(lambda one: _is_ours(client, one, mark), manifests[1:]))
    except (httpx.HTTPError, ValidationError, _Unknown):
        return False


class _Unknown(Exception):
    """The cluster did not say whether the object exists."""


def _is_ours(client: httpx.Client, manifest: Manifest, mark: str) -> bool:
    answer = client.get(path_of(manifest), headers={"Accept": METADATA_ONLY})
    if answer.status_code == 404:
        return True
    if not answer.is_success:
        raise _Unknown
    return _Object.model_validate_json(answer.content).metadata.annotations.get(ANNOTATION) == mark


def path_of(manifest: Manifest) -> str:
    """Return an object's path at the API server.

    >>> path_of({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"namespace": "a", "name": "b"}})
    '/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/b'
    """
    version, kind, metadata = manifest["apiVersion"], manifest["kind"].lower(), manifest["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{'/apis' if '/' in version else '/api'}/{version}{place}/{plural}/{metadata['name']}"
