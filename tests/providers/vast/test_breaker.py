"""The breaker: opens when a fleet vanishes at once or too much is rented, and for nothing else."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.api import errors
from providers.vast.api.breaker import HOUR, STAYS_OPEN_SECONDS, Breaker, BreakerState
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.api.instance import Instance
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising

FLEET = range(1, 7)
UNIX = 1_700_000_000.0
BODY = {"label": "gpu-fleet/abc/chat-0", "image": "image", "disk": 20}


def book(*lists: list[int], every: float = 1.0) -> BreakerState:
    """A book after these lists, `every` seconds apart; the first holds a fleet of six."""
    found = BreakerState().after_list(FLEET, 0.0, 1.0)
    for number, ids in enumerate(lists, 1):
        found = found.after_list(ids, number * every, 1.0)
    return found


def refused(found: BreakerState, now: float = 10.0, rents_per_hour: int = 100) -> str | None:
    return found.refusal(now, 1.0, rents_per_hour)


def test_a_fleet_that_vanishes_at_once_stops_renting_and_is_named() -> None:
    refusal = refused(book([]))

    assert refusal is not None
    assert "6 instances vanished from the market's list at once (1, 2, 3, 4, 5)" in refusal
    assert "sweep --close-breaker" in refusal


def test_a_list_that_shows_them_again_lets_renting_go_on() -> None:
    assert refused(book([], list(FLEET))) is None


def test_what_shows_again_only_in_part_still_stops_it() -> None:
    assert "4 instances vanished" in str(refused(book([], [1, 2])))


def test_it_closes_by_itself_after_a_while() -> None:
    found = book([])

    assert refused(found, now=1 + STAYS_OPEN_SECONDS) is not None
    assert refused(found, now=2 + STAYS_OPEN_SECONDS) is None
    assert refused(found.after_list([], 3 + STAYS_OPEN_SECONDS, 1.0)) is None


@pytest.mark.parametrize("gone", [[1], [1, 2]])
def test_one_or_two_that_go_are_no_alarm(gone: list[int]) -> None:
    assert refused(book([number for number in FLEET if number not in gone])) is None


def test_a_fleet_that_went_between_lists_far_apart_is_no_alarm() -> None:
    assert refused(book([], every=100.0), now=101.0) is None


def test_what_we_gave_back_ourselves_is_no_alarm() -> None:
    found = BreakerState().after_list(FLEET, 0.0, 1.0)
    for number in FLEET:
        found = found.after_destroy(number, 0.5)

    assert refused(found.after_list([], 1.0, 1.0)) is None


def test_more_rents_in_an_hour_than_allowed_are_refused_until_the_oldest_is_an_hour_old() -> None:
    found = BreakerState()
    for moment in (0.0, 60.0, 120.0):
        found = found.after_rent(moment, 1.0)

    assert "limits.rentsPerHour allows 3" in str(refused(found, now=130.0, rents_per_hour=3))
    assert "in 58 min" in str(refused(found, now=130.0, rents_per_hour=3))
    assert refused(found, now=130.0, rents_per_hour=4) is None
    assert refused(found, now=HOUR + 1, rents_per_hour=3) is None


@given(st.lists(st.frozensets(st.integers(1, 8)), max_size=8), st.frozensets(st.integers(1, 8)))
def test_whatever_was_listed_a_list_of_everything_closes_it(lists: list[frozenset[int]], ours: frozenset[int]) -> None:
    found = BreakerState()
    for number in ours:
        found = found.after_destroy(number, 0.0)
    for moment, ids in enumerate(lists):
        found = found.after_list(ids, float(moment), 1.0)
        assert not found.vanished & ids
        assert not (found.vanished & ours)

    assert refused(found.after_list(range(1, 9), 99.0, 1.0), now=99.0) is None


@given(st.lists(st.floats(0, 2 * HOUR), max_size=12), st.integers(1, 6))
def test_never_more_than_the_bound_in_any_hour(moments: list[float], bound: int) -> None:
    found, rents = BreakerState(), []
    for moment in sorted(moments):
        if found.refusal(moment, 1.0, bound) is None:
            found = found.after_rent(moment, 1.0)
            rents.append(moment)

    for start in rents:
        assert sum(start <= moment < start + HOUR for moment in rents) <= bound


def rows(ids: Iterable[int], stack: str = "abc", at: float | None = None) -> list[Instance]:
    return [Instance(id=number, label=f"gpu-fleet/{stack}/chat-{number}", start_date=at) for number in ids]


def guarded(folder: Path, rents_per_hour: int = 100) -> tuple[GuardedMarket, FakeMarket, Breaker]:
    clock = FakeClock()
    market, breaker = FakeMarket(clock), Breaker(folder, 1.0, rents_per_hour)
    return GuardedMarket(market, breaker, clock, 5.0), market, breaker


def test_a_list_that_lied_once_delays_a_rent_and_no_more(tmp_path: Path) -> None:
    guard, market, breaker = guarded(tmp_path)
    breaker.listed(rows(FLEET), 0.0, UNIX)
    breaker.listed([], 1.0, UNIX + 1)
    market.before["list"] = [lambda _label: breaker.listed(rows(FLEET), market.clock.now, market.clock.time())] * 999

    guard.rent(1, BODY)

    assert market.clock.slept == [5.0]
    assert len(market.rows) == 1


def test_nothing_is_rented_while_it_is_open(tmp_path: Path) -> None:
    guard, market, breaker = guarded(tmp_path)
    breaker.listed(rows(FLEET), 0.0, UNIX)
    breaker.listed([], 1.0, UNIX + 1)

    with pytest.raises(errors.BreakerOpen, match="vanished"):
        guard.rent(1, BODY)

    assert market.rows == {}
    breaker.close()
    guard.rent(1, BODY)
    assert len(market.rows) == 1


def test_rents_are_counted_also_those_whose_reply_got_lost_and_not_those_that_were_refused(tmp_path: Path) -> None:
    guard, market, _breaker = guarded(tmp_path, rents_per_hour=2)
    market.after["rent"] = [raising(errors.OutcomeUnknown("rent", "time-out"))]
    market.before["rent"] = [None, raising(errors.OfferGone(2, "taken"))]
    with pytest.raises(errors.OutcomeUnknown):
        guard.rent(1, BODY)
    with pytest.raises(errors.OfferGone):
        guard.rent(2, BODY)
    guard.rent(3, BODY)

    with pytest.raises(errors.BreakerOpen, match="rentsPerHour"):
        guard.rent(4, BODY)


def test_the_book_is_shared_and_survives_damage(tmp_path: Path) -> None:
    Breaker(tmp_path, rents_per_hour=1).rented(1.0)
    with pytest.raises(errors.BreakerOpen):
        Breaker(tmp_path, rents_per_hour=1).verify(2.0)

    (tmp_path / "breaker.json").write_text("{ half")

    Breaker(tmp_path, rents_per_hour=1).verify(2.0)


def test_what_the_guard_ends_is_no_surprise(tmp_path: Path) -> None:
    guard, market, breaker = guarded(tmp_path)
    ids = [market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(1, 5)]
    breaker.listed(rows(ids), 0.0, UNIX)
    for number in ids:
        guard.destroy(number)
    breaker.listed([], 1.0, UNIX + 1)

    guard.rent(market.offers[0].id, BODY)

    assert len(market.rows) == 1


def test_another_stack_that_another_computer_gives_back_is_no_alarm_for_ours(tmp_path: Path) -> None:
    guard, market, breaker = guarded(tmp_path)
    ours, theirs = rows([1, 2]), rows(range(10, 60), "def")
    breaker.listed([*ours, *theirs], 0.0, UNIX)
    breaker.listed(ours, 1.0, UNIX + 1)

    guard.rent(1, BODY)

    assert len(market.rows) == 1
    with pytest.raises(errors.BreakerOpen, match="50 instances vanished"):
        guard.rent(2, {**BODY, "label": "gpu-fleet/def/chat-0"})


def test_a_small_stack_that_vanishes_among_many_others_stops_its_renting(tmp_path: Path) -> None:
    guard, _market, breaker = guarded(tmp_path)
    breaker.listed([*rows([1, 2, 3, 4]), *rows(range(10, 60), "def")], 0.0, UNIX)
    breaker.listed(rows(range(10, 60), "def"), 1.0, UNIX + 1)

    with pytest.raises(errors.BreakerOpen, match="4 instances vanished"):
        guard.rent(1, BODY)


def test_rents_of_other_computers_count_by_label_and_start(tmp_path: Path) -> None:
    guard, market, breaker = guarded(tmp_path, rents_per_hour=6)
    strangers = [Instance(id=number, label="a person's own", start_date=UNIX) for number in range(90, 99)]
    breaker.listed([*rows(range(1, 4), "def", UNIX - 60), *rows([7], "def", UNIX - HOUR), *strangers], 0.0, UNIX)
    for number in (1, 2):
        guard.rent(number, BODY)
    breaker.listed([*rows(range(1, 4), "def", UNIX - 60), *rows(market.rows, at=UNIX)], 1.0, UNIX + 1)
    guard.rent(3, BODY)

    with pytest.raises(
        errors.BreakerOpen, match=r"6 instances were rented within an hour \(3 of them by other computers\)"
    ):
        guard.rent(4, BODY)

    breaker.close()
    breaker.listed(rows(range(1, 4), "def", UNIX - 60), 2.0, UNIX + 2)
    guard.rent(4, BODY)


def test_what_others_rented_and_gave_back_within_the_hour_counts_once_it_was_seen(tmp_path: Path) -> None:
    guard, market, breaker = guarded(tmp_path, rents_per_hour=2)
    for number in (1, 2):
        breaker.listed(rows([number], "def", UNIX), float(number), UNIX + number)
    breaker.listed([], 200.0, UNIX + 200)
    market.clock.now = 201.0

    with pytest.raises(errors.BreakerOpen, match="rentsPerHour"):
        guard.rent(1, BODY)
    market.clock.now = HOUR + 1
    guard.rent(1, BODY)


def test_a_book_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "breaker.json").write_text(
        '{"listed_at": 0.0, "listed": [1, 2, 3], "rents": [0.0], "ended": {"9": 0.0}}'
    )
    guard, _market, breaker = guarded(tmp_path, rents_per_hour=1)

    with pytest.raises(errors.BreakerOpen, match="1 instances were rented"):
        guard.rent(1, BODY)
    breaker.listed([], 1.0, UNIX)
    with pytest.raises(errors.BreakerOpen, match="3 instances vanished"):
        guard.rent(1, BODY)
