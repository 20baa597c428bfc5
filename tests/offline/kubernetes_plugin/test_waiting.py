"""An update waits until a workload's pods are ready, no longer than its limit, and says which pod is not and why."""

import threading
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.waiting import LOOK_SECONDS, NotReady, Waiter, is_awaited, lacking, limit_of, reasons

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "door", "namespace": "watch", "generation": 2},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "door"}}},
}
RUNS = {
    "observedGeneration": 2,
    "replicas": 1,
    "updatedReplicas": 1,
    "readyReplicas": 1,
    "availableReplicas": 1,
    "currentRevision": "b",
    "updateRevision": "b",
}
IMAGE = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}


def live(kind: str = "Deployment", wanted: int = 1, **status: Any) -> dict[str, Any]:
    spec = {**DEPLOYMENT["spec"], "replicas": wanted}
    return {**DEPLOYMENT, "kind": kind, "spec": spec, "status": {**RUNS, **status}}


def pod(name: str, ready: bool = False, **state: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready), "reason": "ContainersNotReady", "message": "of door"}]
    rows = [{"name": "door", "ready": ready, "state": state}] if state else []
    return {"metadata": {"name": name}, "status": {"conditions": conditions, "containerStatuses": rows}}


class Scheduled:
    """A cluster whose answers are those of a schedule, the last one for ever, and a clock that moves by its pauses."""

    def __init__(self, answers: list[dict[str, Any] | None], pods: list[dict[str, Any]] | None = None) -> None:
        self.answers, self._pods, self.now, self.over = answers, pods or [], 0.0, threading.Event()

    def get(self, _manifest: dict[str, Any]) -> dict[str, Any] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def pods(self, namespace: str, labels: dict[str, str]) -> list[dict[str, Any]]:
        assert (namespace, labels) == ("watch", {"app": "door"})
        return self._pods

    def pause(self, seconds: float) -> bool:
        self.now += seconds
        return self.over.is_set()

    def wait(self, manifest: dict[str, Any], made: dict[str, Any], seconds: float = 0.0) -> dict[str, Any]:
        return Waiter(cast(Cluster, self), self.over, lambda: self.now, self.pause).wait(manifest, made, seconds)


def test_an_update_ends_when_the_pods_of_the_last_revision_are_ready() -> None:
    fresh = live(observedGeneration=1)
    cluster = Scheduled([live(updatedReplicas=0), live(replicas=1, readyReplicas=0), live()])

    assert cluster.wait(DEPLOYMENT, fresh) == live()
    assert cluster.now == pytest.approx(3 * LOOK_SECONDS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"observedGeneration": 1}, "no controller has seen it yet"),
        ({"updatedReplicas": 0}, "0 of 1 pods are of its last revision"),
        ({"replicas": 2}, "pods of an older revision have not ended"),
        ({"readyReplicas": 0}, "0 of 1 pods are ready"),
    ],
)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_what_lacks_is_said(kind: str, change: dict[str, Any], said: str) -> None:
    assert lacking(live(kind)) == ""
    assert lacking(live(kind, **change)) == said


def test_each_kind_has_a_condition_of_its_own() -> None:
    assert lacking(live("Deployment", availableReplicas=0)) == "its pods have not been ready for long enough"
    assert lacking(live("StatefulSet", currentRevision="a")) == "its last revision is not its current one"
    assert lacking(live("Deployment", 0, replicas=0, updatedReplicas=0, readyReplicas=0)) == ""


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(1, 3))
def test_nothing_lacks_only_if_exactly_the_wanted_pods_are_ready(
    total: int, updated: int, ready: int, available: int, wanted: int
) -> None:
    counts = {"updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": available}

    if not lacking(live("Deployment", wanted, replicas=total, **counts)):
        assert updated >= wanted
        assert ready >= wanted
        assert available >= wanted
        assert total <= updated


def test_past_the_limit_the_pods_say_why() -> None:
    pods = [pod("door-1", waiting=IMAGE["waiting"]), pod("door-2", ready=True, running={})]
    cluster = Scheduled([live(readyReplicas=0)], pods)

    with pytest.raises(NotReady) as caught:
        cluster.wait(DEPLOYMENT, live(readyReplicas=0), 5.0)

    assert str(caught.value) == (
        "Deployment watch/door was written and does not run (it took longer than 5 s): 0 of 1 pods are ready; "
        "pod door-1: container door waits: ErrImagePull - no such image"
    )
    assert caught.value.made == live(readyReplicas=0)
    assert cluster.now == pytest.approx(5.0, abs=2 * LOOK_SECONDS)


def test_a_cancelled_update_waits_no_longer() -> None:
    cluster = Scheduled([live(readyReplicas=0)])
    cluster.over.set()

    with pytest.raises(NotReady, match=r"the update was cancelled.*it has no pod"):
        cluster.wait(DEPLOYMENT, live(readyReplicas=0))
    assert cluster.now == 0


def test_what_is_deleted_meanwhile_is_said() -> None:
    with pytest.raises(NotReady, match="was deleted while the update waited"):
        Scheduled([None]).wait(DEPLOYMENT, live(readyReplicas=0))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"running": {}}, "pod a: container door runs, and its probe fails"),
        ({"terminated": {"exitCode": 2, "reason": "Error"}}, "pod a: container door ended with status 2: Error"),
        ({}, "pod a: ContainersNotReady - of door"),
    ],
)
def test_each_state_of_a_container_has_its_words(state: dict[str, Any], said: str) -> None:
    assert list(reasons([pod("a", **state)])) == [said]


def test_a_container_that_fails_again_and_again_shows_its_status() -> None:
    fails = pod("a", waiting={"reason": "CrashLoopBackOff"})
    fails["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 1}}

    assert list(reasons([fails])) == [
        "pod a: container door waits: CrashLoopBackOff, after it ended with status 1",
    ]


def test_only_workloads_are_waited_for_unless_they_say_no() -> None:
    def annotated(kind: str, **more: str) -> dict[str, Any]:
        annotations = {f"pulumi.com/{key}": value for key, value in more.items()}
        return {**DEPLOYMENT, "kind": kind, "metadata": {**DEPLOYMENT["metadata"], "annotations": annotations}}

    assert is_awaited(DEPLOYMENT)
    assert is_awaited(annotated("StatefulSet"))
    assert not is_awaited(annotated("Deployment", skipAwait="true"))
    assert not is_awaited(annotated("Secret"))
    assert Scheduled([None]).wait(annotated("Secret"), {"made": True}) == {"made": True}
    assert limit_of(annotated("Deployment", timeoutSeconds="7"), 0.0) == 7
    assert limit_of(annotated("Deployment", timeoutSeconds="7"), 30.0) == 30
    assert limit_of(DEPLOYMENT, 0.0) == 600
