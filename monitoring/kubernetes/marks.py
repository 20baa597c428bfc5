"""The mark of a stack on its objects in a cluster, and whether what is there already may be taken over.

An update that was killed leaves objects that its state does not know. Pulumi's plugin refuses to make what exists, and takes
it over if its provider is told so, whoever made it. So the provider is told so only while each object of ours that exists
carries this stack's mark.
"""

import hashlib
import hmac
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from pydantic import BaseModel, Field, ValidationError

from monitoring.kubernetes.kubeconfig import KubeconfigError, reach
from monitoring.kubernetes.objects import Manifest

ANNOTATION = "gpu-fleet/stack"
SECONDS = 5.0  # for one answer
AT_ONCE = 8
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"  # no Secret's values travel


class _Metadata(BaseModel):
    annotations: dict[str, str] = Field(default_factory=dict)


class _Object(BaseModel):
    metadata: _Metadata


def mark_of(metrics_key: str, stack: str) -> str:
    """Return the mark of a stack by its qualified name; two stacks of one name have different keys."""
    return hmac.new(metrics_key.encode(), f"mark of {stack}".encode(), hashlib.sha256).hexdigest()[:16]


def marked(manifest: Manifest, mark: Any) -> Manifest:
    """Return a manifest with the mark, which may be an output of Pulumi's."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION: mark}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def may_take_over(kubeconfig: str, context: str, manifests: Sequence[Manifest], mark: str) -> bool:
    """Ask the cluster of a kubeconfig; see `all_ours`. A cluster that the kubeconfig does not open for us: False."""
    try:
        client, _namespace = reach(kubeconfig, context)
    except KubeconfigError:
        return False
    with client:
        return all_ours(client, manifests, mark)


def all_ours(client: httpx.Client, manifests: Sequence[Manifest], mark: str) -> bool:
    """Look whether each of the objects is absent from the cluster or carries the mark; False where that is not known."""
    client.timeout = httpx.Timeout(SECONDS)
    try:
        # The first is asked alone: a cluster that does not answer, or a stranger's namespace, settles it.
        if not all(_is_ours(client, one, mark) for one in manifests[:1]):
            return False
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return all(pool.map(lambda one: _is_ours(client, one, mark), manifests[1:]))
    except (httpx.HTTPError, ValidationError, _Unknown):
        return False


class _Unknown(Exception):
    """The cluster did not say whether there is such an object."""


def _is_ours(client: httpx.Client, manifest: Manifest, mark: str) -> bool:
    answer = client.get(path_of(manifest), headers={"Accept": METADATA_ONLY})
    if answer.status_code == 404:
        return True
    if not answer.is_success:
        raise _Unknown
    return _Object.model_validate_json(answer.content).metadata.annotations.get(ANNOTATION) == mark


def path_of(manifest: Manifest) -> str:
    """Return where an API server has an object.

    >>> path_of({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"namespace": "a", "name": "b"}})
    '/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/b'
    """
    version, kind, metadata = manifest["apiVersion"], manifest["kind"].lower(), manifest["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{'/apis' if '/' in version else '/api'}/{version}{place}/{plural}/{metadata['name']}"
