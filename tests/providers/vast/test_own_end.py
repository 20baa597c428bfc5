"""A host that ended itself: refresh, preview and ledger say so, the next `up` rents another, and no breaker opens."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.facts import Facts
from providers.ledger import instance_end
from providers.ledger.event import Reason
from providers.ledger.last_word import LastWord
from providers.vast import down_check, lifecycle
from providers.vast.api import errors
from providers.vast.api.breaker import FEWEST, Breaker, BreakerState
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.api.instance import Instance
from providers.vast.changes import Changes
from providers.vast.lifecycle import OperationContext
from providers.vast.own_end import OwnEnds, describe_limits
from providers.vast.settings import SelfDestructSettings
from tests.doubles.clock import FakeClock
from tests.doubles.last_words import FakeWords
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import Host, settings_of

HOUR = 3600.0
LIMITS = SelfDestructSettings(idle_minutes=30, max_hours=12)
SETTINGS = settings_of("chat-0", 0).model_copy(update={"self_destruct": LIMITS})
PLAIN = settings_of("chat-0", 0)


class EndingHost(Host):
    """A host that is ending itself."""

    def observe(self, instance: Instance, host_key: str, say: object) -> Facts:
        return super().observe(instance, host_key, say).model_copy(update={"ending": "idle", "gate_open": False})


@dataclass
class Rented:
    """A world in which chat-0 has served for two hours, and may end itself."""

    world: World = field(default_factory=lambda: World(1))
    words: FakeWords = field(default_factory=FakeWords)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    lines: list[str] = field(default_factory=list)
    excused: list[int] = field(default_factory=list)
    hosting: Any = None

    def __post_init__(self) -> None:
        self.world.up("chat-0")
        self.number, _settings, self.outs = self.world.state["chat-0"]
        self.world.clock.now += 2 * HOUR

    @property
    def context(self) -> OperationContext:
        context = self.world.context()
        return replace(
            context,
            ledger=self.ledger,
            report_progress=lambda phase, text: self.lines.append(f"{phase}  {text}"),
            ends=OwnEnds(self.words, self.excused.append),
            hosting=self.hosting or context.hosting,
        )

    def end(self, *, word: bool = True) -> float:
        """End the instance, and return the moment."""
        self.world.market.rows.clear()
        at = self.world.clock.time() - 600
        if word:
            self.words.words[self.number] = LastWord("idle", at, 1803, 7000)
        return at

    def diff(self, settings: Any = SETTINGS) -> Changes:
        outs = down_check.with_own_end(self.number, settings, self.outs, self.context)
        found = lifecycle.compare(settings, settings, outs)
        return down_check.judge(self.number, settings, settings, outs, self.context) if found.any else found


@pytest.fixture
def rented() -> Rented:
    return Rented()


def test_a_refresh_says_when_it_ended_itself_and_why_and_the_ledger_has_that_moment(rented: Rented) -> None:
    at = rented.end()

    assert lifecycle.read(rented.number, SETTINGS, rented.outs, rented.context) is None

    (line,) = rented.lines
    assert line.startswith("gone  it ended itself at ")
    assert line.endswith(" UTC after 30 idle minutes; `pulumi up` rents it again")
    (event,) = rented.ledger.events
    assert (event.at, event.reason) == (at, None)
    assert event.message.endswith("after 30 idle minutes")
    assert rented.excused == [rented.number]


def test_without_a_word_it_is_only_gone_and_its_limits_are_said(rented: Rented) -> None:
    rented.end(word=False)

    assert lifecycle.read(rented.number, SETTINGS, rented.outs, rented.context) is None

    assert rented.lines == [
        "gone  it is gone and left no word; its fleet has idleMinutes 30, maxHours 12; `pulumi up` rents it again"
    ]
    assert (rented.ledger.events[0].message, rented.ledger.events[0].reason) == (instance_end.GONE, Reason.LOST)
    assert rented.excused == []


def test_a_fleet_without_limits_is_read_as_before_and_no_word_is_asked_for(rented: Rented) -> None:
    rented.end()

    assert lifecycle.read(rented.number, PLAIN, rented.outs, rented.context) is None

    assert rented.lines == []
    assert rented.words.asked == []
    assert rented.ledger.events[0].message == instance_end.GONE


def test_a_destroy_after_it_ended_itself_records_that_and_gives_nothing_back(rented: Rented) -> None:
    at = rented.end()

    lifecycle.delete(rented.number, SETTINGS, rented.outs, rented.context)

    assert rented.ledger.events[0].at == at
    assert rented.lines[0].endswith("after 30 idle minutes")
    assert "ended itself" in rented.ledger.events[0].message


@pytest.mark.parametrize("word", [True, False])
def test_a_preview_without_a_refresh_says_it_and_the_next_up_rents_it_again(rented: Rented, word: bool) -> None:
    rented.end(word=word)

    found = rented.diff()

    assert found.replace == ["drift"]
    assert ("ended itself" if word else "left no word") in rented.lines[0]


def test_an_instance_that_is_there_is_not_touched(rented: Rented) -> None:
    assert not rented.diff().any
    assert rented.lines == []


def test_an_instance_that_was_rented_a_moment_ago_may_be_missing_in_a_list(rented: Rented) -> None:
    rented.end()
    rented.outs["createdAt"] = rented.world.clock.time()

    assert not rented.diff().any


@pytest.mark.parametrize("asked", ["instances", "account"])
def test_a_market_in_doubt_replaces_nothing(rented: Rented, asked: str) -> None:
    rented.end()

    def silent(*_: object) -> None:
        raise errors.OutcomeUnknown(asked, "HTTP 502")

    setattr(rented.world.market, asked, silent)

    assert not rented.diff().any
    assert rented.lines[0].startswith("drift  whether it ended itself is not known")


def test_a_key_of_another_account_sees_nothing_and_replaces_nothing(rented: Rented) -> None:
    rented.world.market.use_key_of("alice")

    assert not rented.diff().any


def test_a_host_that_is_ending_itself_is_drift_and_the_next_up_takes_another_machine(rented: Rented) -> None:
    rented.hosting = lambda settings, *_: EndingHost(rented.world.market, rented.world.serving, settings)

    found = lifecycle.read(rented.number, SETTINGS, rented.outs, rented.context)

    assert found is not None
    assert found["drift"] == ["ends itself: idle, and the market has not destroyed it yet"]
    assert lifecycle.compare(SETTINGS, SETTINGS, found).replace == ["drift"]
    assert down_check.judge(rented.number, SETTINGS, SETTINGS, found, rented.context).replace == ["drift"]


def test_a_host_that_ends_itself_no_more_keeps_its_machine(rented: Rented) -> None:
    outs = {**rented.outs, "drift": ["ends itself: idle, and the market has not destroyed it yet"]}

    found = down_check.judge(rented.number, SETTINGS, SETTINGS, outs, rented.context)

    assert (found.replace, found.in_place) == ([], ["drift"])


@pytest.mark.parametrize(
    ("word", "now", "told"),
    [
        (("idle", 0, 1803, 1), 60, "ended itself at 00:00 UTC after 30 idle minutes"),
        (("idle", 0, 6, 1), 60, "ended itself at 00:00 UTC after 6 idle seconds"),
        (("idle", 0, 1803, 1), 90_000, "ended itself at 00:00 UTC on 1970-01-01 after 30 idle minutes"),
        (
            ("lease", 60, 900, 1),
            60,
            "ended itself at 00:01 UTC after 15 idle minutes, because its lease was not renewed",
        ),
        (("lifetime", 0, 0, 43_210), 60, "ended itself at 00:00 UTC at the end of its maxHours, after 12.0 hours"),
    ],
)
def test_a_word_is_told_in_a_sentence(word: tuple[Any, ...], now: float, told: str) -> None:
    assert LastWord(*word).describe(now) == told


def test_limits_are_named_as_config_spells_them() -> None:
    assert describe_limits(SelfDestructSettings(lease_minutes=15.5)) == "its fleet has lease.minutes 15.5"
    assert describe_limits(SelfDestructSettings()) == "its fleet has no limit"


def fleet(numbers: range) -> list[Instance]:
    return [Instance(id=number, label=f"gpu-fleet/abc/chat-{number}") for number in numbers]


def test_ten_that_end_themselves_at_once_do_not_stop_renting(tmp_path: Path) -> None:
    clock = FakeClock()
    breaker = Breaker(tmp_path)
    market = GuardedMarket(FakeMarket(clock), breaker, clock, 1.0)
    breaker.listed(fleet(range(1, 11)), clock.monotonic(), clock.time())
    breaker.listed([], clock.monotonic() + 1, clock.time() + 1)
    with pytest.raises(errors.BreakerOpen):
        breaker.verify(clock.monotonic() + 2, "abc")
    ends = OwnEnds(FakeWords({number: LastWord("idle", 0, 1800, 9000) for number in range(1, 11)}), market.excuse)

    for number in range(1, 11):
        ends.of(SETTINGS, number, 60)

    breaker.verify(clock.monotonic() + 2, "abc")
    breaker.listed([], clock.monotonic() + 3, clock.time() + 3)
    breaker.verify(clock.monotonic() + 4, "abc")


def vanished(words: int, of: int = 10) -> BreakerState:
    stacks = dict.fromkeys(range(1, of + 1), "abc") | {20: "xyz", 21: "xyz", 22: "xyz"}
    book = BreakerState().after_list(stacks, 0.0, 1.0, stacks).after_list([], 1.0, 1.0)
    for number in range(1, words + 1):
        book = book.after_own_end(number, 2.0)
    return book


def test_those_without_a_word_still_open_it_if_they_are_many() -> None:
    assert vanished(10 - FEWEST).missed("abc") == {8, 9, 10}
    assert vanished(10 - FEWEST + 1).missed("abc") == frozenset()


def test_words_of_one_stack_excuse_no_other() -> None:
    book = vanished(10)

    assert book.missed("xyz") == {20, 21, 22}
    assert book.refusal(3.0, 1.0, 100, "xyz") is not None
    assert book.refusal(3.0, 1.0, 100, "abc") is None
