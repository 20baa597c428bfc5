"""Whatever comes in is answered in one of two ways: a claim, or an error of the one shape."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.store.store import Store
from sandbox.services.postgres import Postgres
from tests.doubles.api import Api, error_of, running_api
from tests.doubles.database import fresh_database

pytestmark = pytest.mark.service

REFUSALS = {401, 403, 422}
texts = st.text(max_size=20) | st.sampled_from(
    ("llama-3.1-8b", "llama-3.1-8b\0", "LLAMA 3.1 8B", "rtx4090", "\0", "'", "👾")
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
bodies = values | st.fixed_dictionaries(
    {"model": texts},
    optional={"gpu_type": texts, "count": st.integers(-1, 6) | values, "ttl_minutes": values, "other": values},
)
headers = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)


@pytest.fixture(scope="module")
def shared(postgres: Postgres) -> Iterator[Api]:
    with fresh_database(postgres) as dsn:
        store = Store(dsn)
        store.open()
        with running_api(store) as api:
            yield api
        store.close()


@given(bodies)
def test_any_json_is_answered(shared: Api, body: object) -> None:
    shared.now += 10_000  # earlier claims have expired
    try:
        answer = shared.call("POST", "/provision", json=body)
    except ValueError:
        return  # httpx writes no such JSON
    if answer.status_code == 202:
        assert shared.store.claim(answer.json()["id"]) is not None
    else:
        assert answer.status_code in REFUSALS
        error_of(answer)


@given(st.binary(max_size=60))
def test_any_bytes_are_answered(shared: Api, body: bytes) -> None:
    answer = shared.call("POST", "/provision", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in REFUSALS
    error_of(answer)


@given(headers, headers, st.sampled_from(("X-API-Key", "Idempotency-Key", "Last-Event-ID", "Content-Type")))
def test_any_header_is_answered(shared: Api, value: str, other: str, name: str) -> None:
    shared.now += 10_000
    odd = {name: value.strip().encode("latin-1"), "X-Other": other.strip().encode("latin-1")}
    answer = shared.call("POST", "/provision", json={"model": "llama-3.1-8b"}, headers=odd)
    if answer.status_code != 202:
        assert answer.status_code in REFUSALS
        error_of(answer)


@given(st.text(max_size=100))
def test_any_id_is_answered(shared: Api, id_: str) -> None:
    path = "/provision/" + "".join(f"%{byte:02x}" for byte in id_.encode("utf-8", "surrogatepass"))
    for method in ("GET", "DELETE"):
        answer = shared.call(method, path)
        assert answer.status_code in (200, 307, 404, 405, 422)
        if answer.status_code >= 400:
            error_of(answer)
