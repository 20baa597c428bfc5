"""Manifests on their way between engine and API server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.kubernetes_plugin.objects import (
    UNKNOWN,
    Kind,
    changed_keys,
    has_unknowns,
    id_of,
    meant,
    place_of,
    projected,
    whole_numbers,
    without_values,
)

TEXTS = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def as_the_engine_sends(value):
    if isinstance(value, dict):
        return {key: as_the_engine_sends(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_the_engine_sends(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(JSON)
def test_numbers_come_back_whole(value):
    found = whole_numbers(as_the_engine_sends(value))

    assert found == value
    assert repr(found) == repr(value)  # 3 and 3.0 are equal, and the API server takes only one of them


@given(JSON)
def test_what_is_unchanged_is_projected_onto_itself(value):
    assert projected(value, value) == value


@given(st.dictionaries(TEXTS, JSON, max_size=4), st.dictionaries(TEXTS, JSON, max_size=4))
def test_a_projection_holds_no_key_that_was_not_asked_for(asked, live):
    assert projected(asked, live).keys() == asked.keys() & live.keys()


def test_a_list_that_grew_is_seen_grown():
    assert projected({"ports": [{"port": 1}]}, {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 2}]}) == {
        "ports": [{"port": 1}, {"port": 2}]
    }


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("kubernetes:core/v1:Secret", Kind("v1", "Secret")),
        ("kubernetes:apps/v1:Deployment", Kind("apps/v1", "Deployment")),
        ("kubernetes:monitoring.coreos.com/v1:PrometheusRule", Kind("monitoring.coreos.com/v1", "PrometheusRule")),
    ],
)
def test_the_kind_is_read_from_the_urn_also_of_a_child(token, kind):
    assert Kind.of_urn(f"urn:pulumi:dev::p::gpu-fleet:components:Observability${token}::name") == kind
    assert Kind.of_urn(f"urn:pulumi:dev::p::{token}::name") == kind


@pytest.mark.parametrize("metadata", [{"name": "a"}, {"name": "a", "namespace": "b"}])
def test_an_id_tells_the_place(metadata):
    assert place_of(id_of({"metadata": metadata})) == metadata


def test_unknowns_are_found_at_any_depth():
    assert has_unknowns({"a": [{"b": UNKNOWN}]})
    assert not has_unknowns({"a": [{"b": "c"}]})


def test_what_the_server_keeps_for_itself_is_no_difference():
    before = {"metadata": {"name": "a", "resourceVersion": "1", "managedFields": []}, "spec": 1, "status": {"ready": 0}}
    after = {"metadata": {"name": "a", "resourceVersion": "2"}, "spec": 2, "status": {"ready": 1}}

    assert changed_keys(meant(before), meant(after)) == ["spec"]


def test_a_refusal_does_not_quote_a_secret():
    said = 'Secret "a" is invalid: data[k]: Invalid value: "c2VjcmV0\\"x": illegal base64'

    assert "c2Vj" not in without_values({"kind": "Secret"}, said)
    assert without_values({"kind": "ConfigMap"}, said) == said
