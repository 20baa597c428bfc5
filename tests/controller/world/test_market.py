"""What the market says of slots: one that is missing is gone only if two lists, apart in time, agree and are whole."""

import contextlib
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from controller.ports import MarketStatus, SlotId
from controller.world.market import OLDEST_SECONDS, Account, SlotLives
from providers.elastic.applied import parse
from providers.vast.api.errors import OutcomeUnknown
from providers.vast.api.instance import Instance
from providers.vast.api.rows import Listing, read
from providers.vast.limits import Limits
from tests.controller.api.test_applied_offers import OUTPUT

ZERO, ONE = SlotId("burst", 0), SlotId("burst", 1)
NOW = [0.0]
LABEL = "gpu-fleet/abc/burst-s0"


def row(label: str = LABEL, **changes: Any) -> dict[str, Any]:
    ports = {"22/tcp": [{"HostPort": "4001"}], "8443/tcp": [{"HostPort": "4000"}]}
    return {
        "id": 7,
        "label": label,
        "actual_status": "running",
        "public_ipaddr": "203.0.113.7",
        "ports": ports,
        "dph_total": 0.4,
        **changes,
    }


@dataclass
class Lists:
    """A market that answers one list after the other; an error among them is raised."""

    answers: list[Any]
    ages: list[float] = field(default_factory=list)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        self.ages.append(age_seconds)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return read(answer, Instance)


def lives(*answers: Any, waits: list[float] | None = None) -> SlotLives:
    market = Lists(list(answers))
    account = Account(cast(Any, market), Limits(), 2.0)
    waited = waits if waits is not None else []
    made = SlotLives(lambda: account, lambda: parse(OUTPUT), waited.append, lambda: NOW[0])
    with contextlib.suppress(OutcomeUnknown):
        made.read()
    return made


def test_an_instance_under_the_label_is_there_and_its_failure_is_named() -> None:
    assert lives([row()]).lives([ZERO])[ZERO] is MarketStatus.THERE
    assert lives([row(actual_status="offline")]).lives([ZERO])[ZERO] is MarketStatus.DEAD
    assert lives([row(actual_status="unknown")]).lives([ZERO])[ZERO] is MarketStatus.THERE
    assert lives([row(actual_status="offline"), row(id=8)]).lives([ZERO])[ZERO] is MarketStatus.THERE


def test_one_that_two_whole_lists_lack_is_gone() -> None:
    waits: list[float] = []

    found = lives([row()], [row()], waits=waits).lives([ZERO, ONE], fresh=True)

    assert found == {ZERO: MarketStatus.THERE, ONE: MarketStatus.GONE}
    assert waits == [Limits().look_seconds]


def test_one_that_comes_back_in_the_second_list_is_unknown() -> None:
    assert lives([row()], [], [row()]).lives([ZERO], fresh=True) == {ZERO: MarketStatus.UNKNOWN}


def test_a_list_of_long_ago_says_nothing_of_now() -> None:
    found = lives([row()])
    NOW[0] += OLDEST_SECONDS + 1

    assert found.lives([ZERO]) == {}
    assert found.others([]) is None


@pytest.mark.parametrize("answer", [OutcomeUnknown("list", "no answer"), [row(id="x", label=LABEL)]])
def test_a_list_that_is_not_whole_proves_no_end(answer: Any) -> None:
    assert lives(answer).lives([ONE], fresh=True).get(ONE, MarketStatus.UNKNOWN) is MarketStatus.UNKNOWN


def test_others_are_all_that_is_rented_but_the_slots() -> None:
    found = lives([row(), row("gpu-fleet/abc/chat-0", id=8, dph_total=1.5), row("someone", id=9, dph_total=None)])

    assert found.others([ZERO]) == 1.5
    assert lives(OutcomeUnknown("list", "no answer")).others([ZERO]) is None


def test_nothing_is_known_before_the_stack_is() -> None:
    nobody = SlotLives(lambda: None, lambda: None, lambda _seconds: None)

    assert nobody.lives([ZERO]) == {}
    assert nobody.others([ZERO]) is None
