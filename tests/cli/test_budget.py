"""`gpu-fleet budget`: the figures of a stack, which count they are by, and when the budget is used up."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from cli.budget import described, look, to_json
from cli.context import CommandContext
from config.stack import StackConfig
from providers.budget.guard import Ask
from providers.ledger.folder_ledger import FolderLedger, ledger_home
from providers.store.client import Keys
from providers.vast.api.breaker import Breaker
from providers.vast.api.errors import CredentialsRefused, OutcomeUnknown
from providers.vast.instance_budget import here_of, open_book, open_look, open_spending
from providers.vast.limits import Limits
from providers.vast.settings import BudgetSettings
from tests.doubles.clock import FakeClock
from tests.doubles.ledger_events import event
from tests.doubles.market import FakeMarket, offer

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
STORE = {"endpoint": "https://store.example", "region": "r", "bucket": "bucket"}
REFUSED = CredentialsRefused("the key may not read charges")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, in which the ledger lies as a folder; nothing is kept from another test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for opened in (open_book, open_spending, here_of):
        opened.cache_clear()
    return ledger_home({"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": "/"}, "bucket")


class World:
    """An account with one instance of the stack `s`, rented two hours ago for half a dollar an hour."""

    def __init__(self, folder: Path, home: Path, **budget: Any) -> None:
        self.clock = FakeClock(NOON)
        self.market = FakeMarket(self.clock)
        self.context = CommandContext(
            "dev", {}, 1.0, self.market, cast(Any, self.clock), Breaker(folder), Limits(), folder=folder
        )
        self.config = StackConfig.model_validate({"store": STORE, "budget": budget})
        known: dict[str, Any] = {
            "stack_id": "s",
            "instance_id": 7,
            "usd_per_hour": 0.5,
            "offer_id": 1,
            "name": "chat-0",
        }
        for one in (
            event(NOON - 2 * HOUR, "rented", **{**known, "step": 2}),
            event(NOON - 2 * HOUR, "served", **{**known, "step": 3}),
            event(NOON - 3 * HOUR, "rented", "b", **{**known, "instance_id": 8, "step": 2}),
            event(NOON - HOUR, "ended", "8", **{**known, "instance_id": 8, "seconds": 2 * HOUR}),
        ):
            FolderLedger(home).append(one)

    def charges_say(self, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def charges(_since: float, _until: float) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(self.market, "charges", charges)

    def shown(self) -> tuple[dict[str, Any], str]:
        found = look(self.context, self.config, "s")
        return to_json(found), "\n".join(described(found))


def test_without_the_scope_for_billing_our_own_count_is_shown_and_named(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, home, usdPerDay=3)
    world.charges_say(REFUSED, monkeypatch)
    world.market.add("gpu-fleet/s/chat-1", offer(1, dph_base=0.5), disk=8)

    figures, text = world.shown()

    day, month = figures["periods"]
    assert (day["budget"], day["charged"], day["countedBy"]) == (3, None, "our own count")
    assert day["spent"] == pytest.approx(2.0), "two instances of two hours"
    assert day["running"] == pytest.approx(6.0, abs=0.03)
    assert day["left"] == pytest.approx(-5.0, abs=0.03)
    assert day["usedUpAt"].startswith("2026-11-29T13:5")
    assert (month["budget"], month["left"], month["usedUpAt"]) == (None, None, None)
    assert figures["enforced"] is True
    assert "$3.00" in text
    assert "2026-11-29 13:5" in text
    assert "the key may not read what the market charges (scope billing_read)" in text
    assert "No event records the end of instance 7 (chat-0)" in text


def test_a_reservation_is_shown_with_its_end(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, home, usdPerDay=30)
    world.charges_say(REFUSED, monkeypatch)
    place = (STORE["endpoint"], "r", "bucket", Keys("", ""), cast(Any, world.clock))
    one = open_look(BudgetSettings(usd_per_day=30), "s", 1.0, place, tmp_path, None)
    one.reserve(world.market, Ask("chat-5", 0.25, 0.0, 3))

    figures, text = world.shown()

    assert figures["periods"][0]["reserved"] == pytest.approx(3.0)
    assert [row["name"] for row in figures["reservations"]] == ["chat-5"]
    assert "Reserved: chat-5 at $0.250/h for 0 s, until 2026-11-29T16:00:00Z at most" in text


def test_a_stack_without_a_budget_and_one_that_only_observes_say_so(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for budget, words in (({}, "The stack has no budget"), ({"usdPerDay": 1, "enforce": False}, "only observes")):
        world = World(tmp_path, home, **budget)
        world.charges_say(REFUSED, monkeypatch)
        figures, text = world.shown()
        assert words in text
        assert figures["enforced"] is False


def test_a_market_that_does_not_tell_its_charges_leaves_the_spend_unknown(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, home, usdPerDay=3)
    world.charges_say(OutcomeUnknown("charges", "a timeout"), monkeypatch)

    with pytest.raises(Exception, match="the market's charges are unknown"):
        world.shown()
