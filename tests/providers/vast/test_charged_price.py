"""The price that is charged now: read by the formula of the search, told when it rises, and what follows past the ceiling."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from providers.vast import lifecycle
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.responses import PriceIncrease
from providers.vast.changes import Machine, changes
from providers.vast.charged_price import charged_usd_per_hour, describe_announced_rise, describe_rise, has_risen, paid
from providers.vast.instance_request import rent_body
from providers.vast.lifecycle import OperationContext
from providers.vast.search.prices import usd_per_hour
from providers.vast.search.query import query
from providers.vast.settings import InstanceSettings
from sandbox.market.records.machines import generate
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import settings_of
from tests.doubles.settings import PROPS
from tests.doubles.slow_boots import ORDER

SETTINGS = InstanceSettings.from_props(PROPS)  # a ceiling of 0.5


def wishing(ceiling: float, over: str = "report") -> InstanceSettings:
    props = copy.deepcopy(PROPS)
    props["wishes"] |= {"maxUsdPerHour": ceiling, "overCeiling": over}
    return InstanceSettings.from_props(props)


def test_the_price_of_an_offer_and_of_its_instance_are_one() -> None:
    rented, requirements = offer(1, inet_down_cost=0.02), SETTINGS.to_requirements()
    total = usd_per_hour(rented, requirements) - requirements.weights_gb * 0.02 / requirements.expected_hours
    row = Instance(id=1, dph_total=total, inet_down_cost=0.02)

    assert charged_usd_per_hour(row, requirements) == pytest.approx(usd_per_hour(rented, requirements))


def test_the_emulated_market_charges_what_its_offer_said_and_more_once_the_price_has_risen() -> None:
    like = next(one for one in generate(1) if one.gpu.name == "RTX 4090")
    market = FakeMarket(
        FakeClock(), [replace(like, num_gpus=1, cuda=13.0, direct_ports=9, verification="verified")], boot_seconds=None
    )
    requirements = replace(ORDER.requirements, max_usd_per_hour=2)
    (rented,) = market.search(query(requirements))
    number = market.rent(rented.id, rent_body("image", requirements.disk_gb, "label", "true", 8443))

    assert charged_usd_per_hour(market.instances()[0], requirements) == pytest.approx(
        usd_per_hour(rented, requirements)
    )
    market.emulator.get(number).meter.reprice(market.emulator.clock.now(), 1.5)
    assert has_risen(usd_per_hour(rented, requirements), charged_usd_per_hour(market.instances()[0], requirements))


@pytest.mark.parametrize("absent", [{"dph_total": None}, {"dph_total": 0.0}, {"inet_down_cost": None}])
def test_a_row_without_a_price_says_nothing(absent: dict[str, Any]) -> None:
    row = Instance.model_validate({"id": 1, "dph_total": 0.4, "inet_down_cost": 0.01, **absent})

    assert charged_usd_per_hour(row, SETTINGS.to_requirements()) is None


@pytest.mark.parametrize(
    ("rented", "charged", "before", "after", "over", "replaces"),
    [
        (0.40, 0.60, 0.5, 0.5, "report", False),  # a landlord's increase past the ceiling
        (0.40, 0.60, 0.5, 0.5, "replace", True),
        (0.40, 0.45, 0.5, 0.5, "replace", False),  # not past it
        (0.4999, 0.5001, 0.5, 0.5, "replace", False),  # the market's rounding
        (0.40, 0.40, 0.5, 0.3, "report", True),  # a ceiling that was lowered
        (0.40, 0.60, 0.7, 0.5, "report", True),  # lowered below what the landlord made of it
        (0.40, 0.60, 0.7, 0.65, "report", False),
        (0.40, 0.25, 0.5, 0.3, "report", False),  # it became cheaper meanwhile
        (0.40, None, 0.5, 0.3, "report", True),  # a state that does not know what is charged
        (0.40, None, 0.5, 0.45, "replace", False),
    ],
)
def test_a_ceiling_that_was_lowered_replaces_and_an_increase_only_if_the_fleet_says_so(
    rented: float, charged: float | None, before: float, after: float, over: str, replaces: bool
) -> None:
    machine = Machine("RTX 4090", 1, 48, rented, "US", charged)

    found = changes(wishing(before, over), wishing(after, over), machine)

    assert ("wishes.maxUsdPerHour" in found.replace) is replaces


def test_a_rise_is_told_with_what_follows() -> None:
    assert describe_rise("chat-0", 0.4, 0.4, 0.5, replaces=True) is None
    assert describe_rise("chat-0", 0.4, None, 0.5, replaces=True) is None
    assert (
        describe_rise("chat-0", 0.4, 0.45, 0.5, replaces=True)
        == "it is charged $0.450/h now, and was rented for $0.400/h"
    )
    assert "the next `pulumi up` takes another machine" in str(describe_rise("chat-0", 0.4, 0.6, 0.5, replaces=True))
    assert "`pulumi up --replace '**chat-0'`" in str(describe_rise("chat-0", 0.4, 0.6, 0.5, replaces=False))


def test_what_is_paid_is_what_is_charged_else_what_it_was_rented_for() -> None:
    assert paid({"usdPerHour": 0.4, "chargedUsdPerHour": 0.6}) == 0.6
    assert paid({"usdPerHour": 0.4, "chargedUsdPerHour": None}) == paid({"usdPerHour": 0.4}) == 0.4
    assert paid({}) is None


def test_an_announced_increase_is_told_of_its_contract_alone() -> None:
    increase = PriceIncrease(contract_id=7, new_gpu_costpersec=0.6 / 3600, contract_end_date=1_700_000_000)

    assert describe_announced_rise(8, [increase]) == []
    (rise,) = describe_announced_rise(7, [increase, increase.model_copy(update={"new_gpu_costpersec": None})])
    assert "$0.600/h" in rise
    assert "2023-11-14 22:13 UTC" in rise


def served(reported: list[tuple[str, str]]) -> tuple[World, OperationContext, int, dict[str, Any]]:
    world = World(1)
    world.up("chat-0")
    number, _settings, outs = world.state["chat-0"]
    return world, replace(world.context(), report_progress=lambda *words: reported.append(words)), number, outs


def test_a_refresh_reads_the_price_and_an_update_keeps_it() -> None:
    reported: list[tuple[str, str]] = []
    world, context, number, outs = served(reported)
    settings = settings_of("chat-0", 0)
    world.market.rows[number] |= {"dph_total": 0.9, "inet_down_cost": 0.0}

    found = lifecycle.read(number, settings, outs, context)

    assert found is not None
    assert (found["chargedUsdPerHour"], found["usdPerHour"], found["drift"]) == (0.9, outs["usdPerHour"], [])
    assert [phase for phase, _text in reported].count("price") == 1
    assert (
        lifecycle.update(number, settings, settings, {**found, "drift": ["start: x"]}, context)["chargedUsdPerHour"]
        == 0.9
    )
    world.market.rows[number] |= {"inet_down_cost": None}
    again = lifecycle.read(number, settings, found, context)
    assert (again or {})["chargedUsdPerHour"] == 0.9


def test_what_cannot_be_read_about_announcements_is_left_out() -> None:
    reported: list[tuple[str, str]] = []
    world, context, number, outs = served(reported)
    market = world.market
    market.rows[number].contract.announced_price = (world.clock.time(), 0.72)
    market.before["increases"] = [raising(errors.CredentialsRefused("no scope"))]

    assert lifecycle.read(number, settings_of("chat-0", 0), outs, context) is not None
    assert "price" not in [phase for phase, _text in reported]
    assert lifecycle.read(number, settings_of("chat-0", 0), outs, context) is not None
    assert "its landlord wants $0.720/h" in reported[-1][1]
