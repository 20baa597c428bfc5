"""The end of a stack's rentals: its own go, known or not; those of others stay; what cannot be asked is an error."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from providers.ledger.event import Outcome
from providers.ledger.instance_end import STACK_ENDED
from providers.rentals.teardown import NotAsked, StillWanted, Teardown, end_rentals, report_late_boots
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.rows import Listing, read
from providers.vast.limits import Limits
from providers.vast.pulumi_state import BackendError, StackState
from providers.vast.renting.renter import Renter
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket, offer, raising


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


NOTHING_KNOWN = (StackState("dev", "abc", rentals=1),)


def end(
    market: FakeMarket, reported: list[str] | None = None, states: Sequence[StackState] = NOTHING_KNOWN, *ids: str
) -> None:
    words = [] if reported is None else reported
    ending = Teardown(ids or ("abc",))
    end_rentals(
        Renter(market, market.clock, Limits()),
        ending,
        lambda: states,
        lambda phase, text: words.append(f"{phase}: {text}"),
    )


def test_what_carries_the_id_is_given_back_and_nothing_else(market: FakeMarket) -> None:
    ours = [market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(2)]
    others = [market.add(label, offer(9)) for label in ("gpu-fleet/abcd/chat-0", "gpu-fleet/abc", "mine")]
    reported: list[str] = []

    end(market, reported)

    assert sorted(market.rows) == others
    assert [f"instance {number}" in " ".join(reported) for number in ours] == [True, True]
    assert reported[-1] == "confirm gone: nothing is rented under gpu-fleet/abc/ any more"


class LiesOnce(FakeMarket):
    """A market whose first list is empty, whatever is rented."""

    lied = False

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        label, self.lied = (label if self.lied else "no such label"), True
        return super().instances(label, age_seconds)


def test_one_empty_list_is_not_believed() -> None:
    market = LiesOnce(FakeClock())
    number = market.add("gpu-fleet/abc/chat-0", offer(1))

    end(market)

    assert market.lied
    assert number not in market.rows


def test_a_market_that_cannot_be_asked_is_no_empty_one(market: FakeMarket) -> None:
    market.before["list"] = [raising(errors.CredentialsRefused("the key is not accepted"))]

    with pytest.raises(NotAsked, match="could not be asked: the key is not accepted"):
        end(market)


def test_what_does_not_go_is_said(market: FakeMarket) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    market.instead["destroy"] = lambda _truth, _number: None

    with pytest.raises(errors.StillRented, match=f"INSTANCE {number} MAY STILL BE RENTED"):
        end(market)


class Booting(FakeMarket):
    """A market that says of every instance that it has been booting since the clock began."""

    def passes(self) -> None:
        super().passes()
        for row in self.rows.values():
            row |= {"actual_status": "loading", "start_date": 0.0}


def test_the_ledger_learns_what_ended_after_the_last_give_back_and_nothing_of_what_stays(market: FakeMarket) -> None:
    deaf, *gone = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(3))
    market.instead["destroy"] = lambda truth, number: None if number == deaf else truth(number)
    left: list[list[int]] = []
    ledger = FakeLedger(before_each=lambda _event: left.append(list(market.rows)))

    with pytest.raises(errors.StillRented, match=f"INSTANCE {deaf} MAY"):
        end_rentals(
            Renter(market, market.clock, Limits()),
            Teardown(["abc"]),
            lambda: NOTHING_KNOWN,
            lambda *_: None,
            lambda: ledger,
        )

    assert [(event.instance_id, event.outcome, event.message) for event in ledger.events] == [
        (number, Outcome.ENDED, STACK_ENDED) for number in gone
    ]
    assert left == [[deaf]] * 2


def test_no_ledger_is_opened_where_nothing_ended(market: FakeMarket) -> None:
    def open_ledger() -> FakeLedger:
        raise AssertionError

    end_rentals(
        Renter(market, market.clock, Limits()), Teardown(["abc"]), lambda: NOTHING_KNOWN, lambda *_: None, open_ledger
    )


def test_what_boots_for_longer_than_anybody_waits_is_named_with_the_command_that_ends_it() -> None:
    market = Booting(FakeClock())
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    market.add("gpu-fleet/other/chat-0", offer(2))
    reported: list[str] = []

    def look(now: float) -> None:
        report_late_boots(market, now, Limits(), Teardown(["abc"]), lambda _phase, text: reported.append(text))

    look(Limits().abandoned_seconds - 1)
    assert reported == []
    look(Limits().abandoned_seconds + 1)
    assert len(reported) == 1
    assert f"instance {number} (gpu-fleet/abc/chat-0) has been loading for up to 2.0 h" in reported[0]
    assert "sweep --destroy`" in reported[0]
    market.before["list"] = [raising(errors.OutcomeUnknown("list", "HTTP 502"))]
    look(1e9)
    assert len(reported) == 1


def known(stack: str, stack_id: str | None, number: int, **more: Any) -> StackState:
    return StackState(stack, stack_id, {"chat-0": frozenset({number})}, labelled=frozenset({"abc"}), **more)


@pytest.mark.parametrize("rentals", [0, 1, 2])
def test_what_the_stack_s_state_knows_stays_and_what_it_does_not_know_goes(market: FakeMarket, rentals: int) -> None:
    kept, lost = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(2))
    reported: list[str] = []

    end(market, reported, [known("dev", "abc", kept, rentals=rentals)])

    assert list(market.rows) == [kept]
    assert reported[-1] == f"keep: 1 instances go on, because a state knows them: {kept} (gpu-fleet/abc/chat-0)"
    assert f"instance {lost} " in reported[0]


def test_a_second_instance_under_a_known_label_goes(market: FakeMarket) -> None:
    kept, surplus = (market.add("gpu-fleet/abc/chat-0", offer(n)) for n in range(2))

    end(market, None, [known("dev", "abc", kept)])

    assert (list(market.rows), surplus in market.rows) == ([kept], False)


def test_a_killed_create_of_the_stack_goes_and_one_of_another_stack_may_be_running(market: FakeMarket) -> None:
    dead, running = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(2))
    own = StackState("dev", "abc", creating=frozenset({"chat-0"}), rentals=2)
    other = StackState("dev-chat-1", creating=frozenset({"chat-1"}), labelled=frozenset({"abc"}))

    end(market, None, [own, other])

    assert (list(market.rows), dead in market.rows) == ([running], False)


def test_a_stack_does_not_end_before_the_stacks_that_rent_under_its_id(market: FakeMarket) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    states = [StackState("dev", "abc", rentals=1), known("dev-chat-0", None, number)]

    with pytest.raises(StillWanted, match=rf"{number} \(gpu-fleet/abc/chat-0\).*pulumi destroy --stack dev-chat-0"):
        end(market, None, states)

    assert list(market.rows) == [number]


@pytest.mark.parametrize("doubt", ["own", "other", "none"])
def test_nothing_goes_while_a_state_cannot_be_read(market: FakeMarket, doubt: str) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    trouble = StackState("dev", trouble="the passphrase is wrong")

    def states() -> Sequence[StackState]:
        if doubt == "none":
            raise BackendError("the passphrase is wrong")
        return [trouble] if doubt == "own" else [*NOTHING_KNOWN, trouble]

    with pytest.raises(
        NotAsked, match=rf"{number} \(\$0\.313/h, gpu-fleet/abc/chat-0\).*passphrase is wrong.*Mend that"
    ) as raised:
        end_rentals(Renter(market, market.clock, Limits()), Teardown(["new", "abc"]), states, lambda *_: None)

    assert list(market.rows) == [number]
    assert re.findall(r"`.*?`", str(raised.value)) == ["`gpu-fleet sweep --destroy --interrupted --stack-id abc`"]


def test_an_end_with_nothing_left_reads_no_state(market: FakeMarket) -> None:
    def states() -> Sequence[StackState]:
        raise AssertionError

    end_rentals(Renter(market, market.clock, Limits()), Teardown(["abc"]), states, lambda *_: None)


def test_the_id_of_the_props_and_the_one_of_before_both_end(market: FakeMarket) -> None:
    for stack_id in ("abc", "new", "other"):
        market.add(f"gpu-fleet/{stack_id}/chat-0", offer(1))

    end(market, None, NOTHING_KNOWN, "new", "abc")

    assert [row["label"] for row in market.rows.values()] == ["gpu-fleet/other/chat-0"]


LISTED = {"id": 1, "label": "gpu-fleet/abc/chat-7"}
DOUBTFUL = [
    {**LISTED, "id": None},
    {**LISTED, "label": ["gpu-fleet/abc/chat-7"]},
    {**LISTED, "id": "x", "label": {}},
    None,
    "row",
]
NOT_OURS = [
    {"id": 2, "label": None, "num_gpus": "x"},
    {"id": 3, "num_gpus": "x"},
    {"id": 4, "label": 17, "num_gpus": "x"},
    {"id": None, "label": "gpu-fleet/other/chat-0"},
    {"id": None, "label": "theirs"},
]


def list_also(market: FakeMarket, rows: list[Any]) -> None:
    """Have the market's list hold these rows, too."""
    market.instead["list"] = lambda truth, *words: Listing(truth(*words), read(rows, Instance).odd)


@pytest.mark.parametrize("row", DOUBTFUL)
def test_a_row_of_which_id_or_label_cannot_be_read_is_no_end(market: FakeMarket, row: Any) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    list_also(market, [row, row])
    reported: list[str] = []

    with pytest.raises(NotAsked, match=r"2 rows.*gpu-fleet/abc/.*pulumi destroy"):
        end(market, reported)

    assert number not in market.rows  # what can be read goes first
    assert not any("any more" in line for line in reported)


@pytest.mark.parametrize("row", NOT_OURS)
def test_a_row_that_is_not_of_the_stack_holds_up_no_destroy(market: FakeMarket, row: Any) -> None:
    list_also(market, [row])
    reported: list[str] = []

    end(market, reported)

    assert reported[-1] == "confirm gone: nothing is rented under gpu-fleet/abc/ any more"
