"""What exists in a cluster is taken over only if each object of ours carries this stack's mark, and not in doubt."""

from collections.abc import Callable, Mapping

import httpx
import pytest

from monitoring.kubernetes.marks import ANNOTATION, METADATA_ONLY, all_ours, mark_of, marked, may_take_over, path_of
from monitoring.kubernetes.objects import Manifest

MARK = mark_of("key", "me/gpu-fleet/dev")
NAMESPACE: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "watch"}}
SECRET: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "door-key", "namespace": "watch"}}
DOOR: Manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "door", "namespace": "watch"}}
EVERYTHING = [NAMESPACE, SECRET, DOOR]


def cluster(marks: Mapping[str, str | None], asked: list[str] | None = None) -> httpx.Client:
    """An API server with objects by path, each with its mark."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Accept"] == METADATA_ONLY
        if asked is not None:
            asked.append(request.url.path)
        if request.url.path not in marks:
            return httpx.Response(404, json={"kind": "Status"})
        mark = marks[request.url.path]
        metadata = {"name": "x"} if mark is None else {"name": "x", "annotations": {ANNOTATION: mark}}
        return httpx.Response(200, json={"kind": "PartialObjectMetadata", "metadata": metadata})

    return failing(answer)


def failing(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="https://cluster.invalid", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("marks", "ours"),
    [
        ({}, True),
        ({path_of(NAMESPACE): MARK, path_of(SECRET): MARK}, True),
        ({path_of(one): MARK for one in EVERYTHING}, True),
        ({path_of(NAMESPACE): MARK, path_of(DOOR): None}, False),
        ({path_of(NAMESPACE): mark_of("key", "me/gpu-fleet/prod")}, False),
        ({path_of(SECRET): mark_of("another key", "me/gpu-fleet/dev")}, False),
    ],
)
def test_one_stranger_among_what_exists_is_enough(marks: dict[str, str | None], ours: bool) -> None:
    assert all_ours(cluster(marks), EVERYTHING, MARK) is ours


def test_a_strangers_namespace_settles_it() -> None:
    asked: list[str] = []

    assert not all_ours(cluster({path_of(NAMESPACE): None}, asked), EVERYTHING, MARK)

    assert asked == ["/api/v1/namespaces/watch"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda _request: httpx.Response(403, json={"kind": "Status"}),
        lambda _request: httpx.Response(500),
        lambda _request: httpx.Response(200, text="<html>"),
        lambda _request: httpx.Response(200, json={"metadata": {"annotations": []}}),
    ],
    ids=["forbidden", "broken", "html", "odd"],
)
def test_doubt_takes_nothing_over(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    assert not all_ours(failing(answer), EVERYTHING, MARK)


def test_a_cluster_that_does_not_answer_takes_nothing_over() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    assert not all_ours(failing(refuse), EVERYTHING, MARK)
    assert not may_take_over("no kubeconfig", "", EVERYTHING, MARK)


def test_the_mark_joins_the_annotations_and_tells_no_key() -> None:
    before = {**DOOR, "metadata": {**DOOR["metadata"], "annotations": {"a": "b"}}}

    assert marked(before, MARK)["metadata"]["annotations"] == {"a": "b", ANNOTATION: MARK}
    assert before["metadata"]["annotations"] == {"a": "b"}
    assert "key" not in MARK


def test_paths_are_those_of_the_api_server() -> None:
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": DOOR["metadata"]}

    assert path_of(DOOR) == "/apis/apps/v1/namespaces/watch/deployments/door"
    assert path_of(policy) == "/apis/networking.k8s.io/v1/namespaces/watch/networkpolicies/door"
