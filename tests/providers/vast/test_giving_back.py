"""Giving back: many at once, soon after the rent, and what a rent call leaves behind that ended in no answer."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from providers.vast.api import errors
from providers.vast.api.breaker import Breaker
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.api.instance import Instance
from providers.vast.api.rate_limit import SharedRateLimit
from providers.vast.api.rows import Listing
from providers.vast.instance_request import rent_body
from providers.vast.limits import Limits
from providers.vast.renting.give_back import DESTROY_AGAIN_LOOKS, give_back
from providers.vast.renting.rent import rent
from providers.vast.renting.renter import Renter
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising
from tests.doubles.virtual_time import VirtualTime

LIMITS = Limits()
LABEL = "gpu-fleet/s/chat-0"
BODY = rent_body("image", 20, LABEL, "true", 8443)
TAIL_SECONDS = 40.0


class Queued(FakeMarket):
    """A market at the pace of the real one, which lists what was destroyed for 40 s more. `deaf`: it never ends these."""

    def __init__(self, clock: FakeClock, folder: Path, deaf: frozenset[int] = frozenset()) -> None:
        super().__init__(clock, [])
        self._pace, self._deaf = SharedRateLimit(folder), deaf
        self._ends: dict[int, float] = {}

    def destroy(self, instance_id: int) -> None:
        with self._pace.turn("destroy", self.clock), self.playing("destroy-without-effect"):
            super().destroy(instance_id)
            if instance_id in self.rows and instance_id not in self._deaf:
                self._ends.setdefault(instance_id, self.clock.now + TAIL_SECONDS)

    def show(self, instance_id: int) -> Instance | None:
        with self._pace.turn("show", self.clock):
            return super().show(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        self.clock.sleep(1.0)  # a list that all share
        return super().instances(label, age_seconds)

    def passes(self) -> None:
        for number in [number for number, end in self._ends.items() if end <= self.clock.now and number in self.rows]:
            self.emulator.destroy(number)
        super().passes()


@pytest.mark.rotating(of=2)
def test_a_hundred_at_once_are_all_confirmed(tmp_path: Path) -> None:
    clock: Any = VirtualTime()
    market = Queued(clock, tmp_path)
    numbers = [market.add(f"gpu-fleet/s/chat-{index}", offer(index)) for index in range(100)]

    ended = clock.run(
        *(lambda number=number: give_back(Renter(market, clock, LIMITS), number, 0.3) for number in numbers)
    )

    assert ended == [None] * 100
    assert market.rows == {}
    assert [call for call, _ in market.calls].count("destroy") == 100
    assert clock.now < 100 * 3.1 + TAIL_SECONDS + LIMITS.destroy_seconds


@pytest.mark.rotating(of=2)
def test_of_a_hundred_at_once_those_are_named_that_the_market_does_not_end(tmp_path: Path) -> None:
    clock: Any = VirtualTime()
    market = Queued(clock, tmp_path, deaf=frozenset({510, 600}))
    numbers = [market.add(f"gpu-fleet/s/chat-{index}", offer(index)) for index in range(100)]

    ended = clock.run(
        *(lambda number=number: give_back(Renter(market, clock, LIMITS), number, 0.3) for number in numbers)
    )

    assert [error.instance_id for error in ended if isinstance(error, errors.StillRented)] == [510, 600]
    assert [error for error in ended if error is not None and not isinstance(error, errors.StillRented)] == []


def test_an_accepted_destroy_without_effect_is_asked_for_again_and_then_told() -> None:
    market = FakeMarket(FakeClock())
    number = market.add(LABEL, offer(1))
    row = market.rows[number]
    market.before["list"] = [lambda _label: market.rows.update({number: row})] * 1000

    with pytest.raises(errors.StillRented, match=r"still lists it.*vastai destroy instance"):
        give_back(Renter(market, market.clock, LIMITS), number, 0.3)

    asked = [call for call, _ in market.calls].count("destroy")
    assert asked == LIMITS.destroy_seconds / LIMITS.look_seconds / DESTROY_AGAIN_LOOKS
    assert market.clock.now < 1.1 * LIMITS.destroy_seconds


class Lagging(FakeMarket):
    """A market that knows nothing of an instance for a minute after its rent, and refuses to end it."""

    LAG = 60.0

    def destroy(self, instance_id: int) -> None:
        if self._shows(instance_id):
            super().destroy(instance_id)

    def show(self, instance_id: int) -> Instance | None:
        return super().show(instance_id) if self._shows(instance_id) else None

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        return Listing(one for one in super().instances(label, age_seconds) if self._shows(one.id))

    def _shows(self, number: int) -> bool:
        return number not in self.rows or self.rows[number].age >= self.LAG


def test_absence_right_after_a_rent_is_not_believed() -> None:
    market = Lagging(FakeClock())
    number = market.add(LABEL, offer(1))

    give_back(Renter(market, market.clock, LIMITS), number, 0.3, rented_at=market.clock.now)

    assert market.rows == {}
    assert LIMITS.settle_seconds <= market.clock.now < 2 * LIMITS.settle_seconds


@pytest.mark.parametrize("lag", [0.0, 60.0])
def test_a_contract_that_a_refusal_left_behind_is_given_back_though_it_shows_late(lag: float) -> None:
    market = Lagging(FakeClock())
    market.LAG = lag
    market.before["rent"] = [lambda _offer: raising(errors.NoCredit("no credit", market.add(LABEL, offer(1))))(None)]

    with pytest.raises(errors.NoCredit):
        rent(Renter(market, market.clock, LIMITS), offer(1), BODY)

    assert market.rows == {}


@pytest.mark.parametrize("broken", [OSError(28, "No space left on device"), KeyboardInterrupt(), ZeroDivisionError()])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rent_call_that_broke_leaves_nothing_unowned(broken: BaseException, when: str) -> None:
    market = Lagging(FakeClock())
    getattr(market, when)["rent"] = [raising(broken)]

    with pytest.raises(type(broken)):
        rent(Renter(market, market.clock, LIMITS), offer(1), BODY)

    assert market.rows == {}


def test_a_rent_call_that_broke_and_cannot_be_looked_up_names_the_label() -> None:
    market = FakeMarket(FakeClock())
    market.after["rent"] = [raising(OSError(28, "No space left on device"))]
    market.before["list"] = [raising(errors.CredentialsRefused("key"))]

    with pytest.raises(errors.OutcomeUnknown, match=f"No space left.*{LABEL} may be rented, at about"):
        rent(Renter(market, market.clock, LIMITS), offer(1), BODY)


class FullDisk(Breaker):
    """A breaker whose book can be read and not written."""

    def rented(self, now: float, instance_id: int | None = None) -> None:
        raise OSError(28, "No space left on device")

    def destroyed(self, instance_id: int, now: float) -> None:
        raise OSError(28, "No space left on device")


def test_a_book_that_cannot_be_written_after_a_rent_loses_no_instance(tmp_path: Path) -> None:
    market = FakeMarket(FakeClock())
    guarded = GuardedMarket(market, FullDisk(tmp_path), market.clock, LIMITS.look_seconds)

    number = rent(Renter(guarded, market.clock, LIMITS), offer(1), BODY)

    assert list(market.rows) == [number]
    give_back(Renter(guarded, market.clock, LIMITS), number)
    assert market.rows == {}


def test_a_lost_reply_is_settled_though_the_book_cannot_be_written(tmp_path: Path) -> None:
    market = FakeMarket(FakeClock())
    market.after["rent"] = [raising(errors.OutcomeUnknown("rent", "time-out"))]
    guarded = GuardedMarket(market, FullDisk(tmp_path), market.clock, LIMITS.look_seconds)

    assert list(market.rows) == [] == [call for call, _ in market.calls]
    assert [rent(Renter(guarded, market.clock, LIMITS), offer(1), BODY)] == list(market.rows)


@pytest.mark.parametrize("call", ["rent", "search"])
def test_a_pace_book_that_cannot_be_written_after_an_answer_costs_no_answer(tmp_path: Path, call: str) -> None:
    folder, answered = tmp_path / "meeting", False
    folder.mkdir()

    with SharedRateLimit(folder).turn(call, FakeClock()):
        shutil.rmtree(folder)
        answered = True

    assert answered


def test_giving_back_goes_on_where_our_own_books_cannot_be_written_for_a_while() -> None:
    market = FakeMarket(FakeClock())
    number = market.add(LABEL, offer(1))
    market.before["destroy"] = [raising(OSError(28, "No space left on device"))] * 3

    give_back(Renter(market, market.clock, LIMITS), number)

    assert market.rows == {}
