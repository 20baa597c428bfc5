"""The API server: server-side apply, dry runs, reading, deleting; its refusals as sentences."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from offline.kubernetes_plugin.objects import Kind, Manifest, name_of, without_values

MANAGER = "pulumi-kubernetes"
DISCOVERY_SECONDS = 10.0  # a kind whose definition is made by the same program
DELETE_SECONDS = 60.0
LOOK_SECONDS = 0.1


class Refused(Exception):
    """The API server's no. `fields` are the paths that it names; `immutable` if only a new object would do."""

    def __init__(self, sentence: str, status: int = 0, fields: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.fields = fields

    @property
    def immutable(self) -> bool:
        """Say whether the field can be set at creation only."""
        text = str(self)
        return self.status == 422 and any(
            word in text for word in ("immutable", "cannot change", "Forbidden", "less than")
        )


class Cluster:
    """One API server. Every method raises Refused."""

    def __init__(self, client: httpx.Client, namespace: str, manager: str = MANAGER) -> None:
        self._client = client
        self._manager = manager  # whose fields are set: another's are taken over by force only
        self.namespace = namespace
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}
        self._lock = threading.Lock()

    def namespaced(self, kind: Kind, patient: bool = False) -> bool | None:
        """Say whether objects of a kind live in namespaces; None if the server does not know the kind."""
        found = self._resource(kind, patient)
        return found[1] if found else None

    def get(self, manifest: Manifest) -> Manifest | None:
        """Return the live object, None if there is none."""
        try:
            return self._call("GET", self._path(manifest))
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def apply(self, manifest: Manifest, dry: bool = False, force: bool = False) -> Manifest:
        """Create the object or change it to this; with `dry` only return the result, and change nothing."""
        query = {"fieldManager": self._manager, "fieldValidation": "Strict", "force": str(force).lower()}
        query |= {"dryRun": "All"} if dry else {}
        path = self._path(manifest, patient=not dry)
        try:
            return self._call("PATCH", path, query, manifest)
        except Refused as error:
            raise Refused(without_values(manifest, str(error)), error.status, error.fields) from None

    def delete(self, manifest: Manifest) -> None:
        """Delete the object and return when it is gone."""
        path = self._path(manifest)
        deadline = time.monotonic() + DELETE_SECONDS
        try:
            self._call("DELETE", path, {"propagationPolicy": "Background"})
            while time.monotonic() < deadline:
                left = self._call("GET", path)
                time.sleep(LOOK_SECONDS)
        except Refused as error:
            if error.status == 404:
                return
            raise
        waits = left["metadata"].get("finalizers") or left.get("spec", {}).get("finalizers")
        raise Refused(f"{name_of(manifest)} is still there after {DELETE_SECONDS:.0f} s; its finalizers: {waits}")

    def pods(self, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """Return the pods of a namespace that have these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = self._call("GET", f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": selector})
        return list(found["items"])

    def _path(self, manifest: Manifest, patient: bool = False) -> str:
        kind = Kind.of(manifest)
        found = self._resource(kind, patient)
        if found is None:
            raise Refused(f"the cluster knows no {kind.kind} in {kind.version}; what defines it is not installed", 404)
        plural, namespaced = found
        metadata = manifest["metadata"]
        place = f"/namespaces/{metadata.get('namespace') or self.namespace}" if namespaced else ""
        return f"{kind.path}{place}/{plural}/{metadata['name']}"

    def _resource(self, kind: Kind, patient: bool) -> tuple[str, bool] | None:
        deadline = time.monotonic() + (DISCOVERY_SECONDS if patient else 0)
        while True:
            with self._lock:
                if kind.kind not in self._known.get(kind.version, {}):
                    self._known[kind.version] = self._discover(kind)
                found = self._known[kind.version].get(kind.kind)
            if found or time.monotonic() >= deadline:
                return found
            time.sleep(LOOK_SECONDS)

    def _discover(self, kind: Kind) -> dict[str, tuple[str, bool]]:
        try:
            listed = self._call("GET", kind.path)["resources"]
        except Refused as error:
            if error.status == 404:
                return {}
            raise
        return {row["kind"]: (row["name"], row["namespaced"]) for row in listed if "/" not in row["name"]}

    def _call(self, method: str, path: str, query: dict[str, str] | None = None, body: Any = None) -> Manifest:
        headers = {"Content-Type": "application/apply-patch+yaml"} if body else {}
        try:
            answer = self._client.request(method, path, params=query, json=body, headers=headers)
            content = answer.json()
        except httpx.HTTPError as error:
            raise Refused(
                f"no answer from the cluster at {self._client.base_url} ({type(error).__name__}). Does it run, and is it the "
                "one that the kubeconfig should name?"
            ) from None
        except ValueError:
            if answer.status_code == 404:  # how it says that it knows no such group; everything else it says in JSON
                raise Refused("404 page not found", 404) from None
            raise Refused(f"{self._client.base_url} is no API server: it answered {answer.status_code}") from None
        if answer.is_success:
            return dict(content)
        causes = content.get("details", {}).get("causes") or []
        fields = tuple(cause["field"] for cause in causes if cause.get("field"))
        sentence = content.get("message") or f"HTTP status {answer.status_code}"
        if answer.status_code == 401:
            sentence = "the cluster does not know the user of the kubeconfig (Unauthorized)"
        raise Refused(sentence, answer.status_code, fields)
