"""Who calls, and what a client may still ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.clients import OverLimit, check_count, held, identify, ttl_minutes
from controller.demand import Claim
from controller.offers import Client

keys = st.text(max_size=12)


def client(name: str = "ci", key: str = "k", most: int = 3, minutes: float = 120.0) -> Client:
    return Client(name, key, frozenset({"provision"}), most, minutes)


@given(
    st.dictionaries(st.text(max_size=4), keys, max_size=5).filter(lambda found: len(set(found.values())) == len(found)),
    keys,
)
def test_a_key_names_its_client_and_no_other(found: dict[str, str], key: str) -> None:
    clients = {name: client(name, own) for name, own in found.items()}
    owner = next((name for name, own in found.items() if own == key and own), None)

    known = identify(clients, key)
    assert (known.name if known else None) == owner


def test_an_empty_key_opens_nothing() -> None:
    assert identify({"ci": client(key="")}, "") is None


def test_a_key_is_in_no_text_of_its_client() -> None:
    assert "sesame" not in repr(client(key="sesame"))


@given(
    st.lists(st.tuples(st.integers(1, 4), st.floats(0, 200)), max_size=6),
    st.integers(1, 5),
    st.integers(0, 8),
    st.floats(0, 200),
)
def test_a_limit_counts_live_claims_alone(rows: list[tuple[int, float]], count: int, most: int, wall: float) -> None:
    claims = [Claim(f"c-{n}", "burst", size, expires, "ci") for n, (size, expires) in enumerate(rows)]
    there = sum(size for size, expires in rows if expires > wall)
    assert held(claims, wall).get("burst", 0) == there
    if there + count <= most:
        check_count(client(most=most), claims, count, wall)
    else:
        with pytest.raises(OverLimit) as refused:
            check_count(client(most=most), claims, count, wall)
        assert (refused.value.limit, refused.value.most) == ("maxInstances", most)
        assert all((claim.id in refused.value.says) == (claim.expires_at > wall) for claim in claims)


@given(st.none() | st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_a_claim_lasts_as_long_as_the_client_may_ask_at_most(asked: float | None, most: float) -> None:
    if asked is not None and asked > most:
        with pytest.raises(OverLimit) as refused:
            ttl_minutes(client(minutes=most), asked)
        assert refused.value.limit == "maxTtlMinutes"
        return
    minutes = ttl_minutes(client(minutes=most), asked)
    assert minutes <= most
    assert minutes == (min(60.0, most) if asked is None else asked)
