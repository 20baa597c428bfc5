"""Slots' stacks behind the loop: what an `up` or a destroy that failed means, and where hosts are reached."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from bootstrap.services import Progress
from controller.ports import SlotId, UpResult, WorldUnavailable
from controller.slot_stack import SlotBusyError, SlotError
from controller.slot_state import StateLook
from controller.world.drive import drive
from controller.world.stacks import AGAIN_SECONDS, Outputs, SlotStacks, address_of
from providers.elastic.applied import parse as parse_applied
from providers.elastic.slot_output import SlotOutput, parse
from tests.controller.api.test_applied_offers import OUTPUT
from tests.doubles.clock import FakeClock

PLACE = SlotId("burst", 0)
FOUND: dict[str, Any] = {
    "name": "burst-s0",
    "endpoint": "https://203.0.113.7:4000",
    "ssh": {"host": "203.0.113.7", "port": 4001, "hostKey": "SHA256:abc"},
    "instanceId": 7,
    "usdPerHour": 0.4,
    "digest": "d",
}
SERVES = parse(FOUND)


@dataclass
class Played:
    """One slot's stack; each answer may be an error."""

    state: Any = None  # what `look` finds
    is_new: Any = False
    upped: Any = None
    destroyed: Any = None
    did: list[str] = field(default_factory=list)
    looked: threading.Event = field(default_factory=threading.Event)

    def _answer(self, word: str, answer: Any) -> Any:
        self.did.append(word)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def make(self) -> bool:
        return bool(self._answer("make", self.is_new))

    def up(self, progress: Progress) -> SlotOutput:
        progress("rent", "offer 7 is rented")
        output: SlotOutput = self._answer("up", self.upped)
        return output

    def look(self) -> StateLook:
        try:
            return StateLook(self._answer("look", self.state))
        finally:
            self.looked.set()

    def destroy(self, progress: Progress) -> None:
        self._answer("destroy", self.destroyed)

    def remove(self) -> None:
        self._answer("remove", None)


@dataclass
class Here:
    """The stacks over one played stack."""

    played: Played
    said: list[tuple[SlotId, str, str]] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.outputs = Outputs(lambda _place: self.played, self.clock.monotonic)
        self.stacks = SlotStacks(lambda _place: self.played, lambda *line: self.said.append(line), self.outputs)

    def up(self) -> UpResult:
        return drive(self.stacks.up(PLACE), self.clock.sleep)

    def destroy(self) -> bool:
        return drive(self.stacks.destroy(PLACE), self.clock.sleep)


def test_an_up_that_serves_tells_its_endpoint_price_and_progress() -> None:
    here = Here(Played(upped=SERVES))

    came = here.up()

    assert (came.served, came.fresh, came.usd_per_hour, came.endpoint) == (True, True, 0.4, SERVES.endpoint)
    assert here.said == [(PLACE, "rent", "offer 7 is rented")]
    assert here.outputs.get(PLACE) == SERVES


def test_the_first_up_makes_the_stack_and_one_of_a_slot_that_serves_asks_nothing_before() -> None:
    new = Here(Played(is_new=True, upped=SERVES))
    assert new.up().fresh
    assert new.played.did == ["make", "up"]

    served = Here(Played(SERVES, upped=SERVES))
    served.outputs.learn(PLACE, SERVES)
    assert not served.up().fresh
    assert served.played.did == ["up"]


@pytest.mark.parametrize(("state", "fresh"), [(None, True), (SERVES, False)])
def test_an_up_that_fails_is_fresh_only_if_nothing_was_in_state(state: SlotOutput | None, fresh: bool) -> None:
    came = Here(Played(state, upped=SlotError("no offer fits"))).up()

    assert came == UpResult(False, fresh, None, "no offer fits")


@pytest.mark.parametrize(
    "played",
    [
        Played(upped=SlotBusyError("held")),
        Played(state=SlotError("no backend")),
        Played(is_new=SlotError("no passphrase")),
    ],
)
def test_an_up_of_which_nothing_is_known_says_nothing(played: Played) -> None:
    with pytest.raises(WorldUnavailable):
        Here(played).up()


def test_a_destroy_that_is_confirmed_removes_the_stack_and_forgets_the_host() -> None:
    here = Here(Played())
    here.outputs.learn(PLACE, SERVES)

    assert here.destroy()
    assert here.played.did == ["destroy", "remove"]
    assert here.outputs.get(PLACE) is None


def test_a_destroy_that_failed_removes_nothing() -> None:
    here = Here(Played(destroyed=SlotError("the market does not answer")))

    with pytest.raises(WorldUnavailable):
        here.destroy()
    assert here.played.did == ["destroy"]


def test_where_a_slot_answers_is_read_from_its_state_after_a_restart_and_not_again_and_again() -> None:
    here = Here(Played(SERVES))
    assert here.outputs.get(PLACE) is None
    assert here.played.looked.wait(10)
    while here.outputs.get(PLACE) is None:
        threading.Event().wait(0.01)
    assert here.played.did == ["look"]

    empty = Here(Played())
    for seconds in (0.0, 1.0, AGAIN_SECONDS):
        empty.clock.sleep(seconds)
        empty.outputs.get(PLACE)
        assert empty.played.looked.wait(10)
    empty.outputs._pool.shutdown(wait=True)
    assert empty.played.did == ["look", "look"]


def test_what_a_slot_was_made_of_is_read_from_its_state() -> None:
    here = Here(Played(SERVES))
    assert drive(here.stacks.made_of(PLACE), here.clock.sleep) == "d"
    assert here.stacks.digests([PLACE]) == {PLACE: "d"}

    here.played.state = None
    assert drive(here.stacks.made_of(PLACE), here.clock.sleep) is None
    assert here.stacks.digests([PLACE]) == {}

    here.played.state = SlotError("no backend")
    with pytest.raises(WorldUnavailable):
        drive(here.stacks.made_of(PLACE), here.clock.sleep)


def test_a_slot_in_doubt_is_read_anew_and_holds_until_then() -> None:
    moved = parse({**FOUND, "endpoint": "https://203.0.113.8:4000"})
    here = Here(Played(moved))
    here.outputs.learn(PLACE, SERVES)

    here.stacks.doubt([PLACE])
    here.stacks.doubt([PLACE])
    here.outputs._pool.shutdown(wait=True)

    assert here.outputs.known(PLACE) == moved
    assert here.played.did == ["look"]
    here.stacks.doubt()
    assert here.outputs.known(PLACE) is None


def test_a_host_is_reached_with_the_pinned_key_and_the_stacks_own() -> None:
    applied = parse_applied(OUTPUT)

    found = address_of(SERVES, applied)

    assert found is not None
    assert (found.host, found.port, found.host_key, found.private_key) == ("203.0.113.7", 4001, "SHA256:abc", "ssh")
    assert address_of(parse({**FOUND, "ssh": None}), applied) is None
    assert address_of(None, applied) is None
    assert address_of(SERVES, None) is None
    assert "ssh" not in repr(found).replace("SHA256:abc", "")
