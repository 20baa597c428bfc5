"""The end of a contract: offers that end too soon are left out, and an instance's end is known, warned of and met."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.store.client import Keys
from providers.vast import lifecycle
from providers.vast.api.contract_end import DAY, ending
from providers.vast.api.instance import Instance
from providers.vast.lifecycle import OperationContext
from providers.vast.search.mismatches import mismatches
from providers.vast.search.query import query
from providers.vast.search.requirements import Requirements
from providers.vast.settings import InstanceSettings
from tests.doubles.market import offer
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import settings_of
from tests.doubles.settings import PROPS

REQUIREMENTS = Requirements(("RTX 4090",), 1, 0.5, 20, 1, min_seconds=DAY)


def requirements_of(days: float | None, scale: float = 1) -> Requirements:
    wishes = PROPS["wishes"] if days is None else {**PROPS["wishes"], "minDays": days}
    market = {**PROPS["market"], "timeScale": scale}
    return InstanceSettings.from_props({**PROPS, "wishes": wishes, "market": market}).to_requirements()


@pytest.mark.parametrize(
    ("duration", "text"),
    [(DAY, None), (DAY / 2, "ends in 0.5 days, of which the last does not count"), (None, "does not say when it ends")],
)
def test_an_offer_that_ends_too_soon_or_does_not_say_when_is_left_out(duration: float | None, text: str | None) -> None:
    found = mismatches(offer(1, duration=duration), REQUIREMENTS)

    assert [(miss.key, miss.text) for miss in found] == ([] if text is None else [("minDays", text)])


def test_the_market_is_asked_in_its_own_time() -> None:
    assert query(requirements_of(2))["duration"] == {"gte": 3 * DAY}
    assert query(requirements_of(2, scale=30))["duration"] == {"gte": 3 * DAY / 30}
    assert "duration" not in query(requirements_of(0))


def test_old_states_bound_nothing() -> None:
    assert requirements_of(None).min_seconds == 0


@given(st.floats(0.001, 1000), st.floats(1, 1000))
def test_what_is_rented_is_not_due_for_replacement_at_once(days: float, scale: float) -> None:
    lasts = requirements_of(days, scale).min_seconds

    assert ending(1.7e9 + lasts, 1.7e9, scale) is None


@given(st.floats(0, 4e9), st.floats(-10 * DAY, 10 * DAY), st.floats(1, 1000))
def test_a_warning_comes_in_the_last_day_of_the_market_and_not_before(now: float, left: float, scale: float) -> None:
    reported = ending(now + left, now, scale)

    if min(abs(left), abs(left * scale - DAY)) > 1:
        assert (reported is not None) == (0 < left * scale < DAY)
    assert ending(None, now, scale) is None


def serving(end_date: float | None) -> tuple[World, int, dict[str, Any], OperationContext]:
    world = World(1)
    world.up("chat-0")
    number, _settings, outs = world.state["chat-0"]
    world.market.rows[number]["end_date"] = end_date
    reported: list[str] = []
    context = OperationContext(
        world.market, world.clock, Keys("", ""), lambda _p, text: reported.append(text), hosting=world.context().hosting
    )
    return world, number, outs, context


def test_a_refresh_warns_of_the_end_and_the_next_update_takes_another_machine() -> None:
    world, number, outs, context = serving(None)
    settings = settings_of("chat-0", 0)
    world.market.rows[number]["end_date"] = world.clock.time() + 10 * DAY
    far = lifecycle.read(number, settings, outs, context)
    world.market.rows[number]["end_date"] = world.clock.time() + 3600
    near = lifecycle.read(number, settings, outs, context)

    assert far is not None
    assert near is not None
    assert (far["drift"], near["endsAt"]) == ([], world.market.rows[number]["end_date"])
    assert "in 1.0 h; then the market stops the instance" in near["drift"][0]
    assert not lifecycle.compare(settings, settings, far).any
    assert lifecycle.compare(settings, settings, near).replace == ["drift"]


def test_a_market_that_is_silent_once_takes_no_end_away() -> None:
    world, number, outs, context = serving(None)
    end = world.clock.time() + 10 * DAY

    found = lifecycle.read(number, settings_of("chat-0", 0), {**outs, "endsAt": end}, context)

    assert found is not None
    assert found["endsAt"] == end


def test_an_end_that_has_passed_is_a_doubt_and_replaces_nothing() -> None:
    world, number, outs, context = serving(None)
    settings = settings_of("chat-0", 0)
    world.market.rows[number]["end_date"] = world.clock.time() - 3600

    found = lifecycle.read(number, settings, outs, context)

    assert found is not None
    assert found["drift"] == []
    assert not lifecycle.compare(settings, settings, found).any


def test_an_end_in_the_past_out_of_an_older_versions_refresh_replaces_nothing() -> None:
    _world, _number, outs, _context = serving(None)
    settings = settings_of("chat-0", 0)
    outs["drift"] = ["contract: it ended at 1970-01-01 00:00 UTC; then the market stops the instance"]

    assert lifecycle.compare(settings, settings, outs).replace == []


@pytest.mark.parametrize("dates", [{"end_date": 0}, {"end_date": -1.0}, {"start_date": 1.7e9, "end_date": 1.6e9}])
def test_an_end_that_cannot_be_is_not_known(dates: dict[str, float]) -> None:
    assert Instance.model_validate({"id": 1, **dates}).end_date is None


def test_states_of_older_versions_know_no_end() -> None:
    _world, number, outs, context = serving(None)
    outs.pop("endsAt")

    found = lifecycle.read(number, settings_of("chat-0", 0), outs, context)

    assert found is not None
    assert (found["endsAt"], found["drift"]) == (None, [])
