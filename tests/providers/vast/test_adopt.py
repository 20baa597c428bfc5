"""What carries our label: which is taken over, which stays, and which goes back; by the mark, else by the lowest id."""

from dataclasses import replace
from typing import NoReturn

import pytest

from bootstrap import errors as host_errors
from providers.vast import lifecycle
from providers.vast.api import errors
from providers.vast.api.rows import Listing
from providers.vast.create import bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.adopt import Adoption, LeftToAnother
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Marks, NoMarks, ServingMark
from providers.vast.search.requirements import Requirements
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket, offer
from tests.doubles.marks import FakeMarks
from tests.doubles.slow_boots import Serves
from tests.providers.vast.test_silence import SETTINGS, Served

LABEL = "gpu-fleet/s/chat-0"
REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)


class Account:
    """One account with machines under our label, and what was said."""

    def __init__(self, marks: Marks | None = None) -> None:
        self.market = FakeMarket(FakeClock())
        self.marks = marks or FakeMarks()
        self.reported: list[str] = []

    def add(self, number: int, image: str = "image") -> int:
        return self.market.add(LABEL, offer(number), image=image)

    def marked(self, instance_id: int, *by: str) -> None:
        self.marks.write(LABEL, ServingMark(instance_id, by), self.marks.read(LABEL))

    def holding(self) -> Adoption:
        report_progress = lambda phase, text: self.reported.append(f"{phase} {text}")  # noqa: E731
        return Adoption(Renter(self.market, self.market.clock, Limits()), LABEL, self.marks, report_progress, by="us")

    def adopt(self) -> int | None:
        found = self.holding().adopt(self.market, "image", REQUIREMENTS)
        return found.id if found else None

    @property
    def mark(self) -> tuple[int, tuple[str, ...]] | None:
        held = self.marks.read(LABEL)
        return (held.instance, held.by) if held else None


def test_the_marked_instance_is_taken_over_and_not_the_lowest() -> None:
    account = Account()
    account.add(1)
    second = account.add(2)
    account.marked(second, "them")

    assert account.adopt() == second
    assert list(account.market.rows) == [second]


def test_a_marked_instance_that_no_list_shows_yet_is_taken_over() -> None:
    account = Account()
    number = account.add(1)
    account.marked(number, "them")
    account.market.instead["list"] = lambda *_words: Listing()

    assert account.adopt() == number


def test_what_another_creator_gives_back_is_not_taken_over() -> None:
    account = Account()
    surplus, other = account.add(1), account.add(2)
    account.marked(surplus)

    assert account.adopt() == other
    assert list(account.market.rows) == [other]
    assert f"give back instance {surplus} under our label is being given back" in account.reported


def test_while_the_mark_is_not_known_nothing_sound_goes_back() -> None:
    account = Account(FakeMarks(silent=lambda: True))
    broken, first, second = account.add(1, image="another"), account.add(2), account.add(3)

    assert account.adopt() == first
    assert list(account.market.rows) == [first, second]
    assert broken not in account.market.rows
    account.holding().keep(second)
    assert list(account.market.rows) == [first, second]
    assert "whether another carries its label is unknown: the store does not answer" in account.reported[-1]


@pytest.mark.parametrize("error", [host_errors.HostUnreachable("closed"), KeyboardInterrupt()])
def test_what_another_creator_has_seen_serve_is_left_to_it_and_named(error: BaseException) -> None:
    account = Account()
    number = account.add(1)
    account.marked(number, "them")

    with pytest.raises(LeftToAnother) as raised:
        account.holding().give_back(number, 0.31, 0.0, error)

    assert list(account.market.rows) == [number]
    assert f"INSTANCE {number} IS STILL RENTED at $0.310/h" in str(raised.value)
    assert f"vastai destroy instance {number} -y" in str(raised.value)


@pytest.mark.parametrize("marked", [True, False])
def test_what_we_give_back_is_marked_as_such_before_and_forgotten_after(marked: bool) -> None:
    account = Account()
    number = account.add(1)
    if marked:
        account.marked(number, "us")
    during: list[object] = []
    account.market.before["destroy"] = [lambda _id: during.append(account.mark)]

    account.holding().give_back(number, 0.31, float("-inf"), KeyboardInterrupt())

    assert during == [(number, ())]
    assert account.mark is None
    assert account.market.rows == {}


def test_the_mark_of_another_instance_is_no_matter_of_what_we_give_back() -> None:
    account = Account()
    number, other = account.add(1), account.add(2)
    account.marked(other, "them")

    account.holding().give_back(number, 0.31, float("-inf"), KeyboardInterrupt())

    assert list(account.market.rows) == [other]
    assert account.mark == (other, ("them",))


def test_two_that_serve_the_same_instance_are_both_in_its_mark() -> None:
    account = Account()
    number = account.add(1)
    account.marked(number, "them")

    account.holding().keep(number)

    assert account.mark == (number, ("them", "us"))


def test_whoever_serves_what_another_gives_back_takes_another_machine() -> None:
    account = Account()
    number = account.add(1)
    account.marked(number)

    with pytest.raises(errors.RentalFailed, match="another create gives it back"):
        account.holding().keep(number)


def test_what_another_creator_gives_back_holds_no_label() -> None:
    account = Account()
    surplus, number = account.add(1), account.add(2)
    account.marked(surplus)

    account.holding().keep(number)

    assert account.mark == (number, ("us",))
    assert number in account.market.rows


def test_a_mark_that_names_what_is_gone_is_written_anew() -> None:
    account = Account()
    account.marked(77, "them")
    number = account.add(1)

    account.holding().keep(number)

    assert account.mark == (number, ("us",))


def test_whatever_else_carries_the_label_of_the_holder_is_given_back() -> None:
    account = Account()
    account.add(1)
    account.market.clock.now += 60  # it runs
    account.add(2)
    ours = account.add(3)

    account.holding().keep(ours)

    assert list(account.market.rows) == [ours]
    assert account.mark == (ours, ("us",))


def test_a_mark_that_is_not_known_for_a_while_is_asked_for_again() -> None:
    account = Account()
    clock = account.market.clock
    account.marks = FakeMarks(silent=lambda: clock.now < 60)
    ours = account.add(1)

    account.holding().keep(ours)

    assert account.mark == (ours, ("us",))


def test_without_a_place_for_marks_the_lowest_id_stays() -> None:
    account = Account(NoMarks())
    first, second = account.add(1), account.add(2)

    with pytest.raises(errors.RentalFailed, match=f"instance {first} holds this label already"):
        account.holding().keep(second)
    account.holding().keep(first)

    assert list(account.market.rows) == [first]


def test_a_create_that_ends_well_leaves_its_mark_and_the_ledger_says_what_was_left_to_another() -> None:
    account, ledger = Account(), FakeLedger()
    order = InstanceRequest("chat-0", LABEL, REQUIREMENTS, "image", "true", 8443)
    clock = account.market.clock

    served = bring_online(Renter(account.market, clock, Limits()), order, Serves(), print, ledger, account.marks)
    assert account.mark is not None
    assert account.mark[0] == served.instance.id

    class Fails:
        def serve(self, *_words: object, **_more: object) -> NoReturn:
            raise host_errors.HostUnreachable("closed")

    with pytest.raises(LeftToAnother):
        bring_online(Renter(account.market, clock, Limits()), order, Fails(), print, ledger, account.marks)

    assert list(account.market.rows) == [served.instance.id]
    assert ledger.outcomes[-1] == "still-rented"


def test_a_delete_takes_the_mark_away() -> None:
    served, marks = Served(), FakeMarks()
    marks.write(SETTINGS.label, ServingMark(served.number, ("them",)), None)

    lifecycle.delete(served.number, SETTINGS, served.outs, replace(served.context, marks=marks))

    assert marks.read(SETTINGS.label) is None


class SlowMarks(FakeMarks):
    """Marks in a store without conditions: each write is followed by a wait."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(before=lambda step: clock.sleep(3) if step == "write" else None)


def test_without_an_engine_an_instance_goes_back_also_where_the_mark_has_to_be_waited_for() -> None:
    account = Account()
    account.marks = SlowMarks(account.market.clock)
    number = account.add(1)
    account.market.clock.gone_at = 0.0

    account.holding().give_back(number, 0.4, 0.0, RuntimeError("interrupted"))

    assert list(account.market.rows) == []
