"""What a preview says that an update does to a fleet's clients and to its price."""

import pytest

from providers.vast.changes import Changes
from providers.vast.settings import InstanceSettings
from providers.vast.update_effects import REPLACED, Effect, effect, serves
from providers.vast.update_impact import FleetImpact
from tests.doubles.settings import PROPS

RESTART = Effect(True, "while vLLM restarts", 40.0)
OPEN = Effect()
OLD = InstanceSettings.from_props(PROPS)


def fleet(members: int, most: int, effect: Effect | None) -> FleetImpact:
    made = FleetImpact(members, most)
    for index in range(members):
        made.record_running(f"chat-{index}", effect, 0.4)
    return made


@pytest.mark.parametrize(
    ("members", "most", "effect", "says"),
    [
        (
            2,
            2,
            RESTART,
            "endpoint closed while vLLM restarts, about 40 s: 2 of 2 at once; the fleet then costs $0.800/h",
        ),
        (2, 1, RESTART, "endpoint closed while vLLM restarts, about 40 s: 2 of 2, 1 at a time, about 80 s in all; "),
        (6, 2, RESTART, "about 40 s: 6 of 6, 2 at a time, about 2 min in all; the fleet then costs $2.400/h"),
        (1, 1, RESTART, "endpoint closed while vLLM restarts, about 40 s: 1 of 1 at once; "),
        (2, 1, OPEN, "2 of 2 change with the endpoint open; "),
        (
            2,
            1,
            Effect(True, "while the gate restarts"),
            "endpoint closed while the gate restarts: 2 of 2, 1 at a time; ",
        ),
    ],
)
def test_it_says_how_many_are_down_for_how_long_and_what_it_costs(
    members: int, most: int, effect: Effect, says: str
) -> None:
    assert says in fleet(members, most, effect).sentence()


def test_nothing_is_said_where_clients_notice_nothing() -> None:
    assert fleet(3, 1, None).sentence() == ""


def test_it_waits_for_the_whole_fleet_and_is_said_once() -> None:
    made = FleetImpact(2, 1)
    made.record_running("chat-0", RESTART, 0.4)
    assert made.sentence() == ""
    made.record_running("chat-1", None, 0.4)
    assert "1 of 2 at once" in made.sentence()
    assert made.sentence() == ""


def test_a_replacement_costs_what_is_on_offer() -> None:
    made = FleetImpact(3, 1)
    for index in range(2):
        made.record_running(f"chat-{index}", REPLACED, 0.4)
        assert made.sentence() == ""
        made.record_rental(f"chat-{index}", [0.3, 0.35, 0.9])
    made.record_running("chat-2", None, 0.4)

    assert made.sentence() == (
        "endpoint closed until another machine serves: 2 of 3, 1 at a time; "
        "the fleet then costs about $1.050/h, now $1.200/h; best offer $0.300/h"
    )


def test_a_new_fleet_costs_what_is_on_offer() -> None:
    made = FleetImpact(2, 1)
    made.record_rental("chat-0", [0.5])
    made.record_rental("chat-1", [0.5])

    assert made.sentence() == "2 to rent; the fleet then costs about $1.000/h; best offer $0.500/h"


def test_more_instances_of_a_fleet_that_runs() -> None:
    made = FleetImpact(3, 1)
    made.record_running("chat-0", None, 0.4)
    made.record_adopted("chat-1", 0.5)
    made.record_rental("chat-2", [0.6])

    assert made.sentence() == "1 more comes; the fleet then costs about $1.500/h, now $0.400/h; best offer $0.600/h"


def test_a_price_that_nobody_knows_is_not_made_up() -> None:
    made = FleetImpact(1, 1)
    made.record_running("chat-0", RESTART, None)

    assert made.sentence().endswith("; what the fleet then costs is not known")


def test_a_fleet_says_what_it_takes_of_the_budget() -> None:
    made = FleetImpact(2, 1, budget={"day": 60.0, "month": 1500.0})
    made.record_rental("chat-0", [0.5])
    made.record_running("chat-1", None, 0.4)

    assert made.sentence().endswith(
        "best offer $0.500/h; of the budget $21.60 of $60.00 a day and $657.00 of $1,500.00 a month"
    )


def test_no_offer_and_no_price_are_not_made_up() -> None:
    made = FleetImpact(1, 1, budget={"day": 60.0})
    made.record_rental("chat-0", [])

    assert made.sentence() == "1 to rent; what the fleet then costs is not known"


PHASES = {"wait": 30.0, "fetch weights": 40.0, "start": 20.0, "probe": 2.0}


@pytest.mark.parametrize(
    ("found", "phases", "words"),
    [
        (Changes(replace=["server.image"]), PHASES, "endpoint closed until another machine serves, about 2 min"),
        (Changes(replace=["diskGb"]), {"start": 1.0}, "endpoint closed until another machine serves"),
        (Changes(in_place=["server"]), PHASES, "endpoint closed while vLLM restarts, about 22 s"),
        (Changes(in_place=["model"]), {}, "endpoint closed while vLLM restarts"),
        (Changes(in_place=["kit"]), PHASES, "endpoint closed while the gate restarts"),
        (Changes(in_place=["access"]), PHASES, "the endpoint stays open"),
        (Changes(recorded=["limits"]), PHASES, "the endpoint stays open"),
    ],
)
def test_what_one_instance_does(found: Changes, phases: dict[str, float], words: str) -> None:
    assert effect(found, OLD, OLD, {"phases": phases}).describe() == words


def test_another_certificate_restarts_the_gate() -> None:
    access = {**PROPS["access"], "certificateEpoch": 1}
    new = InstanceSettings.from_props({**PROPS, "access": access})

    assert effect(Changes(in_place=["access"]), OLD, new, {}).closes


@pytest.mark.parametrize(
    ("old", "new", "closes"),
    [
        ({}, {"idleMinutes": 30}, False),
        ({"idleMinutes": 30}, {"idleMinutes": 5, "maxHours": 12}, False),
        ({"leaseMinutes": 15}, {"leaseMinutes": 60}, False),
        ({}, {"leaseMinutes": 15}, True),
        ({"idleMinutes": 30, "leaseMinutes": 15}, {"idleMinutes": 30}, True),
    ],
)
def test_a_lease_that_comes_or_goes_restarts_the_gate_and_other_limits_do_not(
    old: dict[str, float], new: dict[str, float], closes: bool
) -> None:
    before, after = (
        InstanceSettings.from_props({**PROPS, **({"selfDestruct": limits} if limits else {})}) for limits in (old, new)
    )

    assert effect(Changes(in_place=["selfDestruct"]), before, after, {}).closes is closes


def test_only_a_failure_that_the_market_names_says_that_nothing_serves() -> None:
    assert serves({})
    assert serves({"drift": ["waiting: the market reports it as loading", "install: another kit is installed"]})
    assert not serves({"drift": ["status: the market reports it as offline"]})
    assert not serves({"drift": ["ends itself: idle, and the market has not destroyed it yet"]})
