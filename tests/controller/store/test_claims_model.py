"""Random histories of claims, against a model that has no database."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.demand import Claim
from controller.store.claim_rows import KeptClaim
from controller.store.errors import KeyReused
from controller.store.store import Store
from sandbox.services.postgres import Postgres
from tests.doubles.database import fresh_database

OWNERS = st.sampled_from(("ci", "other"))
KEYS = st.none() | st.sampled_from(("k1", "k2"))
MOMENTS = st.integers(0, 40).map(float)
IDS = st.integers(0, 7)
STEPS = st.lists(
    st.tuples(st.just("add"), OWNERS, KEYS, st.integers(1, 2), MOMENTS)
    | st.tuples(st.just("renew"), IDS, MOMENTS)
    | st.tuples(st.just("end"), IDS)
    | st.tuples(st.just("wait"), st.integers(1, 15)),
    max_size=25,
)


@dataclass
class Model:
    """What the store should hold."""

    kept: dict[str, KeptClaim]
    keys: dict[tuple[str, str], str]

    def add(self, claim: Claim, now: float, key: str | None) -> KeptClaim | None:
        """Return the claim that is there then; None if the key made another request."""
        first = self.keys.get((claim.owner, key)) if key else None
        if first is not None:
            return self.kept[first] if self.kept[first].request == {"count": claim.count} else None
        self.kept[claim.id] = KeptClaim(claim, now, None, {"count": claim.count})
        if key:
            self.keys[claim.owner, key] = claim.id
        return self.kept[claim.id]

    def live(self, id_: str, now: float) -> KeptClaim | None:
        found = self.kept.get(id_)
        return found if found and found.ended_at is None and found.claim.expires_at > now else None


@pytest.fixture(scope="module")
def dsn_of_all(postgres: Postgres):
    with fresh_database(postgres) as dsn:
        yield dsn


@settings(max_examples=60)
@given(STEPS)
def test_claims_are_as_the_model_has_them(dsn_of_all: str, steps: list[tuple]) -> None:
    store = Store(dsn_of_all)
    store.open()
    store.prune(float("inf"))
    model, now, number = Model({}, {}), 0.0, 0
    try:
        for word, *rest in steps:
            if word == "add":
                owner, key, count, seconds = rest
                claim = Claim(f"c-{number}", "burst", count, now + seconds, owner)
                number += 1
                expected = model.add(claim, now, key)
                if expected is None:
                    with pytest.raises(KeyReused):
                        store.add_claim(claim, now, {"count": count}, key)
                else:
                    assert store.add_claim(claim, now, {"count": count}, key) == expected
            elif word == "renew":
                id_, seconds = f"c-{rest[0]}", rest[1]
                live = model.live(id_, now)
                if live:
                    until = max(live.claim.expires_at, now + seconds)
                    model.kept[id_] = replace(live, claim=replace(live.claim, expires_at=until))
                assert store.renew_claim(id_, now, now + seconds) == (model.kept[id_] if live else None)
            elif word == "end":
                id_ = f"c-{rest[0]}"
                if live := model.live(id_, now):
                    model.kept[id_] = replace(live, ended_at=now)
                assert store.end_claim(id_, now) == model.kept.get(id_)
            else:
                now += rest[0]
        standing = sorted(one.claim.id for one in model.kept.values() if one.ended_at is None)
        assert sorted(claim.id for claim in store.claims()) == standing
    finally:
        store.close()
