"""The store against a real PostgreSQL: what controllers share, and what holds when several of them write at once."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.demand import Claim
from controller.slots import Slot, SlotEvent, State, advance
from controller.store.claim_view import ClaimView
from controller.store.errors import KeyReused
from controller.store.event_rows import Call, Record
from controller.store.storable import json_value, text
from controller.store.store import Store
from sandbox.services.postgres import Postgres
from tests.doubles.at_once import at_once
from tests.doubles.database import fresh_database

pytestmark = pytest.mark.service

FLEET = "burst"
RENTING = advance(Slot(0), SlotEvent.RENT, 0)
REQUEST = {"model": "llama-3.1-8b", "count": 1}


def claim(id_: str = "c-1", owner: str = "ci", count: int = 1, expires_at: float = 100.0) -> Claim:
    return Claim(id_, FLEET, count, expires_at, owner)


@pytest.fixture(scope="module")
def shared(postgres: Postgres) -> Iterator[Store]:
    with fresh_database(postgres) as dsn:
        opened = Store(dsn)
        opened.open()
        yield opened
        opened.close()


@given(
    st.builds(
        Slot,
        index=st.integers(0, 499),
        state=st.sampled_from(State),
        version=st.integers(1, 2**50),
        failures=st.integers(0, 1000),
        failed_at=st.none() | st.floats(0, 1e10),
        dead=st.booleans(),
        claim=st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
        usd_per_hour=st.none() | st.floats(0, 1e3),
        follows=st.none() | st.text("0123456789abcdef", max_size=64),
    )
)
def test_a_row_comes_back_as_it_was_written(shared: Store, slot: Slot) -> None:
    before = next((one for one in shared.slots(FLEET) if one.index == slot.index), Slot(slot.index))
    slot = replace(slot, version=before.version + slot.version)

    assert shared.write(FLEET, before, slot)
    assert next(one for one in shared.slots(FLEET) if one.index == slot.index) == slot


def test_of_many_writers_of_one_version_one_writes(store: Store) -> None:
    fresh = at_once(20, lambda number: store.write(FLEET, Slot(0), replace(RENTING, failures=number)))
    assert sum(fresh) == 1

    [row] = store.slots(FLEET)
    again = at_once(20, lambda number: store.write(FLEET, row, replace(row, version=row.version + 1, failures=number)))
    assert sum(again) == 1
    assert store.slots(FLEET)[0].version == row.version + 1


def test_a_row_that_is_gone_or_older_is_not_written(store: Store) -> None:
    assert not store.write(FLEET, replace(RENTING, version=4), replace(RENTING, version=5))
    assert store.slots(FLEET) == ()
    assert store.write(FLEET, Slot(0), RENTING)
    assert not store.write(FLEET, Slot(0), RENTING)
    with pytest.raises(ValueError, match="cannot become"):
        store.write(FLEET, RENTING, RENTING)


def test_why_a_row_changed_is_written_with_it_or_not_at_all(store: Store) -> None:
    why = Record(1.0, FLEET, 0, "renting", ({"rule": "start", "says": "1 is missing"},))
    assert store.write(FLEET, Slot(0), RENTING, (why,))
    assert not store.write(FLEET, Slot(0), RENTING, (why,))

    assert [event.record for event in store.events_after(0)] == [why]


numbers = st.floats(-1e12, 1e12) | st.sampled_from((float("nan"), float("inf"), -float("inf")))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text() | st.sampled_from(("\0", "\ud800")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=5) | st.just("\0\udfff"), anything, max_size=3),
    st.text(max_size=9) | st.just("\0"),
)
def test_whatever_a_host_said_is_stored(shared: Store, reason: dict, event: str) -> None:
    shared.prune(2.0)
    shared.record([Record(1.0, FLEET, 0, event, (reason,))])

    [kept] = shared.events_after(0)
    assert kept.record.event == text(event)
    assert kept.record.reasons == (json_value(reason),)


def test_what_postgresql_refuses_is_told_in_other_words() -> None:
    reason = {"says": "a\0b\ud800", "wait": float("inf"), "who": ("ci", 1), "ok": {"n": 1.5, "none": None}}
    assert json_value(reason) == {
        "says": "a\ufffdb\ufffd",
        "wait": "inf",
        "who": ["ci", 1],
        "ok": {"n": 1.5, "none": None},
    }


def test_a_claim_keeps_the_history_of_a_slot_that_failed(store: Store) -> None:
    mine = replace(RENTING, claim="c-1")
    failed = advance(mine, SlotEvent.DIED, 2.0)
    assert failed.claim is None
    store.write(FLEET, Slot(0), mine, (Record(1.0, FLEET, 0, "rent"),))
    store.record([Record(1.5, FLEET, 0, "progress"), Record(1.5, FLEET, None, "decided")])
    store.write(FLEET, mine, failed, (Record(2.0, FLEET, 0, "died"),))
    store.record([Record(3.0, FLEET, 0, "later")])
    other = replace(advance(Slot(1), SlotEvent.RENT, 0), claim="c-1")
    store.write(FLEET, Slot(1), other, (Record(3.0, FLEET, 1, "rent"),))

    events = store.events_of("c-1")
    assert [(event.record.index, event.record.event) for event in events] == [
        (0, "rent"),
        (0, "progress"),
        (0, "died"),
        (1, "rent"),
    ]
    assert store.events_of("c-1", events[2].id) == events[3:]
    assert store.events_of("c-2") == ()


def test_fleets_with_something_rented_are_told(store: Store) -> None:
    store.write("old", Slot(0), replace(RENTING, state=State.ABSENT))
    store.write(FLEET, Slot(3), advance(Slot(3), SlotEvent.RENT, 0))

    assert store.fleets_with_slots() == (FLEET,)


def test_a_boot_is_timed_and_an_endpoint_lasts_until_the_slot_is_absent(store: Store) -> None:
    store.add_claim(claim(), 1.0, REQUEST)

    def seen() -> ClaimView:
        found = store.view("c-1")
        assert found is not None
        return found

    store.write(FLEET, Slot(0), RENTING)
    store.set_endpoint(FLEET, 0, "https://192.0.2.1:8443")
    began = advance(RENTING, SlotEvent.BEGAN, 0)
    store.write(FLEET, RENTING, began)
    ready = advance(began, SlotEvent.SERVED, 0, 0.3)
    store.write(FLEET, began, ready)
    [took] = seen().boots
    assert 0 < took < 60
    [(endpoint, seconds)] = seen().times.values()
    assert endpoint == "https://192.0.2.1:8443"
    assert 0 <= seconds < 60
    assert seen().slots == (ready,)

    store.write(FLEET, ready, advance(ready, SlotEvent.GONE, 0))
    assert seen().times[0][0] is None
    assert store.view("c-9") is None


def test_the_same_key_from_a_hundred_callers_is_one_claim(store: Store) -> None:
    kept = at_once(100, lambda n: store.add_claim(claim(f"c-{n}"), 1.0, REQUEST, "key-1"))

    assert len({one.claim.id for one in kept}) == 1
    assert len(store.claims()) == 1


def test_the_same_key_with_another_request_names_both(store: Store) -> None:
    store.add_claim(claim(), 1.0, REQUEST, "key-1")
    with pytest.raises(KeyReused) as refused:
        store.add_claim(claim("c-2"), 1.0, {**REQUEST, "count": 2}, "key-1")
    assert (refused.value.claim, refused.value.first) == ("c-1", REQUEST)

    store.add_claim(claim("c-3", owner="other"), 1.0, {**REQUEST, "count": 2}, "key-1")
    store.add_claim(claim("c-4"), 1.0, REQUEST)
    store.add_claim(claim("c-5"), 1.0, REQUEST)
    assert {one.id for one in store.claims("ci")} == {"c-1", "c-4", "c-5"}


def test_a_limit_holds_against_callers_at_once(store: Store) -> None:
    class Full(Exception):
        pass

    def most_three(claims: tuple[Claim, ...]) -> None:
        if sum(one.count for one in claims) >= 3:
            raise Full

    def one(number: int) -> bool:
        try:
            store.add_claim(claim(f"c-{number}"), 1.0, REQUEST, None, most_three)
        except Full:
            return False
        return True

    assert sum(at_once(20, one)) == 3
    assert len(store.claims()) == 3


def test_a_claim_is_renewed_and_ends_once(store: Store) -> None:
    store.add_claim(claim(), 1.0, REQUEST)

    def expiry(now: float, until: float) -> float | None:
        renewed = store.renew_claim("c-1", now, until)
        return renewed.claim.expires_at if renewed else None

    assert expiry(50, 200) == 200
    assert expiry(60, 150) == 200  # never earlier
    assert expiry(250, 400) is None  # it has expired
    assert store.renew_claim("c-9", 1, 2) is None
    assert store.end_claim("c-9", 1) is None

    first, second = store.end_claim("c-1", 70), store.end_claim("c-1", 80)
    assert first == second == store.claim("c-1")
    assert first is not None
    assert first.ended_at == 70
    assert store.claims() == ()
    assert expiry(75, 400) is None


def test_a_reader_of_events_misses_none_however_late_its_writer_commits(store: Store) -> None:
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while True:
            last = done.is_set()
            seen.extend(event.id for event in store.events_after(max(seen, default=0)))
            if last:
                return

    reader = threading.Thread(target=read)
    reader.start()
    at_once(60, lambda n: store.record([Record(float(n), FLEET, None, "decided") for _ in range(3)]))
    done.set()
    reader.join(20)

    assert len(seen) == len(set(seen)) == 180


def test_who_waits_is_woken_by_a_write_of_another(store: Store, dsn: str) -> None:
    watch = store.watch()
    assert watch.wait(0) == {"slots", "claims", "events"}  # whatever came before
    assert watch.wait(0.01) == frozenset()
    other = Store(dsn)
    other.open()
    other.add_claim(claim(), 1.0, REQUEST)
    assert watch.wait(10) == {"claims"}
    other.write(FLEET, Slot(0), RENTING)
    assert watch.wait(10) == {"slots"}
    other.record([Record(1.0, FLEET, None, "decided")])
    assert watch.wait(10) == {"events"}
    other.close()
    watch.close()


def test_what_is_over_is_forgotten_and_its_key_is_free(store: Store) -> None:
    store.add_claim(claim("c-1", expires_at=100), 1.0, REQUEST, "key")
    store.add_claim(claim("c-2", expires_at=1000), 1.0, REQUEST, "other")
    store.audit(Call(50.0, "ci", "POST", "/provision", 202, "c-1"))
    store.record([Record(50.0, FLEET, None, "decided"), Record(500.0, FLEET, None, "decided")])
    store.prune(200)

    assert [one.id for one in store.claims()] == ["c-2"]
    assert [event.record.at for event in store.events_after(0)] == [500.0]
    assert store.calls() == ()
    assert store.add_claim(claim("c-3"), 1.0, REQUEST, "key").claim.id == "c-3"


def test_a_database_keeps_text_that_is_not_sql(store: Store, dsn: str) -> None:
    odd = "'; drop schema gpu_fleet cascade; --"
    store.add_claim(Claim(odd, odd, 1, 100.0, odd), 1.0, {"model": odd}, odd)
    store.write(odd, Slot(0), replace(RENTING, claim=odd))
    store.record([Record(1.0, odd, 0, odd, ({"says": odd},))])

    kept = store.claim(odd)
    assert kept is not None
    assert kept.request == {"model": odd}
    assert store.slots(odd)[0].claim == odd
    assert store.events_after(0, odd)[0].record.event == odd
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select count(*) from gpu_fleet.claims").fetchone() == (1,)
