"""Waits until a workload runs, as Pulumi's own plugin does for Deployments and StatefulSets. The rules are pure."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from offline.kubernetes_plugin.cluster import Cluster, Refused
from offline.kubernetes_plugin.objects import Manifest, name_of

SKIP, LIMIT = "pulumi.com/skipAwait", "pulumi.com/timeoutSeconds"
DEFAULT_SECONDS, LOOK_SECONDS = {"Deployment": 600.0, "StatefulSet": 300.0}, 0.2  # of Pulumi's own plugin


class NotReady(Exception):
    """An object was made and does not run. `made` is what the API server has of it."""

    def __init__(self, sentence: str, made: Manifest) -> None:
        super().__init__(sentence)
        self.made = made


class Waiter:
    """Waits in one cluster until it is told to end. `pause` returns true if it was told so meanwhile."""

    def __init__(
        self,
        cluster: Cluster,
        over: threading.Event,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self._cluster, self._over = cluster, over
        self._monotonic, self._pause = monotonic, pause or over.wait

    def wait(self, manifest: Manifest, made: Manifest, seconds: float = 0.0) -> Manifest:
        """Return the object once its pods of this revision are ready; at once for a kind or an object without a wait.

        `made`: what the API server answered; `seconds`: the resource's own limit, 0 if it has none. Raises NotReady with
        the reasons of the pods, and Refused.
        """
        if not is_awaited(manifest):
            return made
        limit = limit_of(manifest, seconds)
        deadline = self._monotonic() + limit
        live: Manifest | None = made
        while live is not None and (lack := lacking(live)):
            if self._over.is_set() or self._monotonic() > deadline:
                why = "; ".join([lack, *self._reasons(live)])
                cause = "the update was cancelled" if self._over.is_set() else f"it took longer than {limit:.0f} s"
                raise NotReady(f"{name_of(manifest)} was written and does not run ({cause}): {why}", live)
            self._pause(LOOK_SECONDS)
            live = self._cluster.get(manifest)
        if live is None:
            raise NotReady(f"{name_of(manifest)} was deleted while the update waited for it", made)
        return live

    def _reasons(self, live: Manifest) -> list[str]:
        try:
            pods = self._cluster.pods(live["metadata"]["namespace"], live["spec"]["selector"].get("matchLabels", {}))
        except Refused as error:
            return [f"its pods cannot be listed: {error}"]
        return list(reasons(pods))


def is_awaited(manifest: Manifest) -> bool:
    """Say whether an update waits for an object: the annotation pulumi.com/skipAwait says no."""
    annotations = manifest["metadata"].get("annotations") or {}
    return manifest["kind"] in DEFAULT_SECONDS and annotations.get(SKIP) != "true"


def limit_of(manifest: Manifest, seconds: float) -> float:
    """Return how long an update waits: the resource's own limit, else that of its annotation, else the kind's."""
    annotated = (manifest["metadata"].get("annotations") or {}).get(LIMIT, "")
    return seconds or float(annotated or 0) or DEFAULT_SECONDS[manifest["kind"]]


def lacking(live: Manifest) -> str:
    """Say what a workload lacks until it runs as it was last written; empty if it does."""
    status, wanted = live.get("status", {}), int(live["spec"].get("replicas", 1))
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return "no controller has seen it yet"
    updated, ready = int(status.get("updatedReplicas", 0)), int(status.get("readyReplicas", 0))
    if updated < wanted:
        return f"{updated} of {wanted} pods are of its last revision"
    if int(status.get("replicas", 0)) > updated:
        return "pods of an older revision have not ended"
    if ready < wanted:
        return f"{ready} of {wanted} pods are ready"
    if live["kind"] == "Deployment" and int(status.get("availableReplicas", 0)) < wanted:
        return "its pods have not been ready for long enough"
    if live["kind"] == "StatefulSet" and wanted and status.get("currentRevision") != status.get("updateRevision"):
        return "its last revision is not its current one"
    return ""


def reasons(pods: list[Manifest]) -> Iterator[str]:
    """Say of each pod that is not ready why it is not: its containers' words, else those of its conditions."""
    if not pods:
        yield "it has no pod"
    for pod in pods:
        status, name = pod.get("status", {}), pod["metadata"]["name"]
        rows = {row["type"]: row for row in status.get("conditions") or []}
        if rows.get("Ready", {}).get("status") == "True":
            continue
        containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        problems = [word for row in containers if not row.get("ready") and (word := _of_container(row))]
        problems = problems or [_words(row) for row in rows.values() if row["status"] != "True" and row.get("reason")]
        yield f"pod {name}: {', '.join(problems) or status.get('phase', 'unknown')}"


def _of_container(row: dict[str, Any]) -> str:
    """Say why a container is not ready."""
    state, last = row.get("state", {}), row.get("lastState", {})
    name = f"container {row['name']}"
    if "waiting" in state:
        ended = f", after it ended with status {last['terminated']['exitCode']}" if "terminated" in last else ""
        return f"{name} waits: {_words(state['waiting'])}{ended}"
    if "terminated" in state:
        return f"{name} ended with status {state['terminated']['exitCode']}: {_words(state['terminated'])}"
    return f"{name} runs, and its probe fails" if "running" in state else ""


def _words(row: dict[str, Any]) -> str:
    return " - ".join(filter(None, (row.get("reason"), row.get("message"))))[:300]
