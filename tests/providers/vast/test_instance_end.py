"""The end of every instance that state or a sweep knew lies in the ledger: when, for how long, for how much, and why."""

from dataclasses import replace
from typing import Any

import pytest

from providers.ledger import instance_end
from providers.ledger.event import Event, Outcome, Reason, parse, parse_key
from providers.ledger.explain import describe_attempts
from providers.ledger.machine_history import fold
from providers.vast import lifecycle
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.lifecycle import OperationContext
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import offer
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import settings_of

HOUR = 3600.0
SETTINGS = settings_of("chat-0", 0)


class Rented:
    """A world in which chat-0 has served for two hours, and a ledger."""

    def __init__(self) -> None:
        self.world, self.ledger = World(1), FakeLedger()
        self.world.up("chat-0")
        self.number, _settings, self.outs = self.world.state["chat-0"]
        self.world.clock.now += 2 * HOUR

    @property
    def context(self) -> OperationContext:
        return replace(self.world.context(), ledger=self.ledger)

    @property
    def ended(self) -> Event:
        (event,) = self.ledger.events
        assert event.outcome is Outcome.ENDED
        return event

    def delete(self, outs: dict[str, Any] | None = None) -> None:
        lifecycle.delete(self.number, SETTINGS, outs or self.outs, self.context)


def test_a_delete_writes_down_how_long_it_was_rented_what_that_cost_and_why() -> None:
    rented = Rented()

    rented.delete({**rented.outs, "drift": ["status: the market reports it as offline"]})

    end = rented.ended
    whole = 2 * HOUR + sum(rented.outs["phases"].values())
    assert (end.stack_id, end.name, end.instance_id) == ("abc", "chat-0", rented.number)
    assert end.seconds == pytest.approx(whole, abs=120)
    assert end.usd == pytest.approx(end.seconds / HOUR * rented.outs["usdPerHour"])
    assert end.message == f"{instance_end.GIVEN_BACK}; the last refresh said: status: the market reports it as offline"
    assert parse(end.model_dump_json(exclude_none=True)) == end


def test_a_refresh_that_finds_it_gone_writes_that_down() -> None:
    rented = Rented()
    rented.world.market.rows.clear()

    assert lifecycle.read(rented.number, SETTINGS, rented.outs, rented.context) is None

    assert (rented.ended.reason, rented.ended.message) == (Reason.LOST, instance_end.GONE)


def test_a_refresh_that_finds_it_writes_nothing() -> None:
    rented = Rented()

    assert lifecycle.read(rented.number, SETTINGS, rented.outs, rented.context) is not None

    assert rented.ledger.events == []


def test_what_was_gone_when_it_was_to_be_given_back_is_no_giving_back() -> None:
    rented = Rented()
    rented.world.market.rows.clear()

    rented.delete()

    assert rented.ended.message == instance_end.GONE


def test_what_may_still_be_rented_has_not_ended() -> None:
    rented = Rented()
    rented.world.market.instead["destroy"] = lambda _truth, _number: None

    with pytest.raises(errors.StillRented):
        rented.delete()

    assert rented.ledger.events == []


@pytest.mark.parametrize("step", ["delete", "update"])
def test_what_was_surplus_under_the_label_ended_too(step: str) -> None:
    rented = Rented()
    surplus = rented.world.market.add(SETTINGS.label, offer(70), SETTINGS.server.image)

    if step == "delete":
        rented.delete()
    else:
        lifecycle.update(rented.number, SETTINGS, settings_of("chat-0", 1), rented.outs, rented.context)

    messages = {event.instance_id: event.message for event in rented.ledger.events}
    assert messages[surplus] == instance_end.SURPLUS


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_a_create_gives_back_under_its_label_ended_too(when: str) -> None:
    world, ledger, others = World(1), FakeLedger(), list[int]()

    def arrive(image: str) -> None:
        others.append(world.market.add(SETTINGS.label, offer(70), image))

    if when == "before":
        arrive("another image")
    else:
        world.market.before["log"] = [lambda _id: arrive(SETTINGS.server.image)]

    outs = lifecycle.create(SETTINGS, replace(world.context(), ledger=ledger))

    (end,) = [event for event in ledger.events if event.outcome is Outcome.ENDED]
    assert list(world.market.rows) == [outs["instanceId"]]
    assert end.instance_id == others[0]
    assert end.message.startswith(instance_end.NOT_KEPT if when == "before" else instance_end.SURPLUS)


def test_an_output_of_an_older_version_is_enough() -> None:
    ledger = FakeLedger()

    instance_end.state_ended(ledger, 5000.0, SETTINGS.label, 7, {}, instance_end.GIVEN_BACK, None)

    (end,) = ledger.events
    assert (end.seconds, end.usd, end.usd_per_hour) == (0.0, 0.0, None)


@pytest.mark.filterwarnings("error")
def test_a_number_of_a_machine_that_went_through_the_engine_is_written_as_one() -> None:
    ledger = FakeLedger()

    instance_end.state_ended(
        ledger, 5000.0, SETTINGS.label, 7, {"machine": {"id": 12452.0}}, instance_end.GIVEN_BACK, None
    )

    assert '"machine_id":12452,' in ledger.events[0].model_dump_json()


def test_a_label_that_is_not_ours_is_not_written_about() -> None:
    ledger = FakeLedger()

    instance_end.row_ended(ledger, 5000.0, Instance(id=7, label="my own"), instance_end.SWEPT)

    assert ledger.events == []


def test_an_older_version_leaves_the_word_aside_and_no_machine_is_judged_by_it() -> None:
    ledger = FakeLedger()
    row = Instance(id=7, label="gpu-fleet/abc/chat-0", machine_id=70, dph_total=0.5, start_date=1000.0)
    instance_end.row_ended(ledger, 4600.0, row, instance_end.SWEPT)
    (end,) = ledger.events

    assert (end.seconds, end.usd) == (3600.0, 0.5)
    assert fold([end]) == {}
    assert parse_key(end.key.replace(".ended.", ".a-word-of-later.")) is None


def described(*events: Event) -> str:
    return "\n".join(describe_attempts("chat-0", events, {}, 9000.0))


def event(attempt: str, at: float, outcome: Outcome, **known: Any) -> Event:
    return Event(at=at, stack_id="abc", name="chat-0", attempt=attempt, step=1, outcome=outcome, machine_id=70, **known)


def test_explain_tells_the_end_with_the_attempt_that_brought_it_online() -> None:
    served = event("a", 1000.0, Outcome.SERVED, offer_id=3, instance_id=7)
    adopted = event("b", 1500.0, Outcome.SERVED, instance_id=7)
    first = event("7", 8000.0, Outcome.ENDED, instance_id=7, seconds=7500.0, usd=0.75, message=instance_end.GIVEN_BACK)
    again = event("7", 8500.0, Outcome.ENDED, instance_id=7, seconds=8000.0, usd=0.8, message=instance_end.GONE)

    text = described(served, again, adopted, first)

    assert text.startswith("chat-0: 2 attempts in the ledger")
    assert text.count("ended ") == 1
    assert text.index("an instance that was there already") < text.index(
        "rented for 2 h 5 min, about $0.7500: given back"
    )


def test_explain_tells_an_end_whose_attempt_is_too_old_to_be_read() -> None:
    text = described(
        event("7", 8000.0, Outcome.ENDED, instance_id=7, seconds=59.0, usd=0.01, message=instance_end.GONE)
    )

    assert "machine 70, instance 7\n  ended    1970-01-01 02:13:20 UTC, rented for 1 min" in text


def test_an_attempt_whose_instance_ended_is_not_said_to_be_under_way() -> None:
    text = described(
        event("a", 1000.0, Outcome.RENTED, instance_id=7), event("7", 8000.0, Outcome.ENDED, instance_id=7, seconds=9.0)
    )

    assert "rented for 9 s" in text
    assert "has died" not in text
