"""Facts that the market does not name at first: none of them is a violation, then or later, and state takes them up."""

from typing import Any

import pytest

from providers.vast import lifecycle
from providers.vast.api.instance import Instance
from providers.vast.changes import changes
from providers.vast.machine_facts import facts_of, filled, machine_of
from providers.vast.settings import InstanceSettings
from tests.doubles.settings import PROPS
from tests.providers.vast.test_changes import OLD, changed
from tests.providers.vast.test_silence import SETTINGS, Served

ABSENT: dict[str, Any] = {"gpu_name": None, "num_gpus": None, "disk_space": None, "geolocation": None}
WHOLE = {"gpuName": "RTX 4090", "gpuCount": 1, "diskGb": 20.0, "country": "US"}


def bare() -> tuple[Served, dict[str, Any]]:
    """A machine of which the market told nothing when it served, and the outputs that state got."""
    served = Served()
    number = served.world.state["chat-0"][0]
    outs = {**served.outs, "machine": facts_of(Instance(id=number, machine_id=served.outs["machine"]["id"]))}
    return served, outs


@pytest.mark.parametrize(
    ("path", "value"),
    [("wishes.gpuNames", ["H100 SXM"]), ("wishes.gpuCount", 2), ("wishes.regions", ["DE"]), ("diskGb", 100)],
)
def test_what_the_market_does_not_say_replaces_no_machine(path: str, value: Any) -> None:
    _served, outs = bare()

    assert changes(OLD, changed(path, value), machine_of({**outs, "usdPerHour": 0.4})).replace == []


def test_facts_that_appear_are_taken_up_by_a_refresh() -> None:
    served, outs = bare()
    outs = {**outs, "drift": []}

    served.row.says(ABSENT)
    still = lifecycle.read(served.number, SETTINGS, outs, served.context)
    served.row.says({})
    found = lifecycle.read(served.number, SETTINGS, outs, served.context)

    assert still is not None
    assert found is not None
    assert {**still["machine"], "id": 0} == {"id": 0, "gpuName": None, "gpuCount": None, "diskGb": None, "country": ""}
    assert WHOLE.items() <= found["machine"].items()
    assert found["drift"] == []


def test_a_market_that_falls_silent_takes_no_fact_away() -> None:
    served = Served()
    outs = served.seen(**ABSENT)
    assert WHOLE.items() <= outs["machine"].items()

    after = served.update({**outs, "drift": ["gate: it is closed"]})

    assert WHOLE.items() <= after["machine"].items()


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("wishes.gpuNames", {"gpuName": "RTX 3090"}),
        ("wishes.gpuCount", {"gpuCount": 4}),
        ("wishes.regions", {"country": "CN"}),
        ("diskGb", {"diskGb": 40.0}),
    ],
)
def test_a_fact_that_appears_later_replaces_no_machine_until_its_wish_is_edited(
    path: str, fact: dict[str, Any]
) -> None:
    old = changed("wishes.regions", ["US"])
    edits = {"wishes.gpuNames": ["H100 SXM"], "wishes.gpuCount": 2, "wishes.regions": ["DE"], "diskGb": 50}
    machine = machine_of({"machine": {**WHOLE, "diskGb": 48.0, **fact}, "usdPerHour": 0.4})

    assert changes(old, old, machine).replace == []
    assert changes(old, changed(path, edits[path]), machine).replace == [path]


def test_known_facts_stay_and_absent_ones_are_filled() -> None:
    seen = Instance(id=1, machine_id=7, gpu_name="RTX 4090", num_gpus=2, disk_space=50.0, geolocation="Berlin, DE")

    assert filled(None, seen) == {"id": 7, "gpuName": "RTX 4090", "gpuCount": 2, "diskGb": 50.0, "country": "DE"}
    assert filled({"gpuName": "A100", "diskGb": 0, "other": 1}, seen) == {
        "id": 7,
        "gpuName": "A100",
        "gpuCount": 2,
        "diskGb": 50.0,
        "country": "DE",
        "other": 1,
    }


def test_a_state_without_a_machine_is_one_without_facts() -> None:
    assert changes(OLD, InstanceSettings.from_props(PROPS), machine_of({})).replace == []
