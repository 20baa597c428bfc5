"""A market that says little of a machine for a while takes no serving machine: only a failure it names replaces one."""

from typing import Any

import pytest

from providers.store.client import Keys
from providers.vast import errors, lifecycle
from providers.vast.instances import Failed, Instance, Pending, Running, classify
from providers.vast.lifecycle import Desk
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import settings_of

# What the market was seen to report of healthy instances, for minutes.
PASSING: list[dict[str, Any]] = [
    {"actual_status": "unknown"},
    {"actual_status": "unknown", "status_msg": "Error response from daemon: unauthorized"},
    {"actual_status": "loading"},
    {"actual_status": "rebooting"},
    {"actual_status": None},
    {"ports": {"22/tcp": [{"HostPort": ""}], "8443/tcp": [{"HostPort": ""}]}},
    {"ports": [22, 8443]},
    {"public_ipaddr": None},
]
SETTINGS = settings_of("chat-0", 0)


class Served:
    """A world in which chat-0 serves, and what was said."""

    def __init__(self) -> None:
        self.world = World(1)
        self.world.up("chat-0")
        self.number, _settings, self.outs = self.world.state["chat-0"]
        self.said: list[tuple[str, str]] = []
        desk = self.world.desk()
        self.desk = Desk(
            desk.market, desk.clock, Keys("", ""), lambda *words: self.said.append(words), hosting=desk.hosting
        )

    @property
    def row(self) -> dict[str, Any]:
        return self.world.market.rows[self.number]

    def seen(self, **changes: Any) -> dict[str, Any]:
        """Have the market report this of the instance, and return what a refresh makes of it."""
        self.row["seen"] = changes
        found = lifecycle.read(self.number, SETTINGS, self.outs, self.desk)
        assert found is not None
        return found

    def update(self, outs: dict[str, Any]) -> dict[str, Any]:
        return lifecycle.update(self.number, SETTINGS, SETTINGS, outs, self.desk)


@pytest.mark.parametrize("seen", PASSING)
def test_a_missed_heartbeat_replaces_no_machine_and_the_update_waits_until_it_is_back(seen: dict[str, Any]) -> None:
    served = Served()
    outs = served.seen(**seen)
    back_at = served.world.clock.now + 300
    served.world.market.before["show"] = []
    served.world.market.before["list"] = [lambda _label: back(served, back_at)] * 999

    assert outs["drift"][0].startswith("waiting: ")
    assert lifecycle.compare(SETTINGS, SETTINGS, outs).replace == []
    after = served.update(outs)

    assert (after["instanceId"], after["drift"]) == (served.number, [])
    assert served.world.clock.now >= back_at
    assert served.number in served.world.market.rows


def back(served: Served, moment: float) -> None:
    if served.world.clock.now >= moment:
        served.row["seen"] = {}


def test_a_machine_that_stays_silent_is_left_rented_and_named_after_a_bounded_wait() -> None:
    served = Served()
    outs = served.seen(actual_status="unknown")
    began = served.world.clock.now

    with pytest.raises(errors.RentalFailed) as raised:
        served.update(outs)

    limits = SETTINGS.to_limits()
    assert limits.outage_seconds <= served.world.clock.now - began <= limits.outage_seconds + 60
    assert "--replace '**chat-0'" in str(raised.value)
    assert "unknown" in str(raised.value)
    assert raised.value.reason == "lost"
    assert served.number in served.world.market.rows
    assert any("unknown" in text for _phase, text in served.said)


@pytest.mark.parametrize(
    "seen",
    [
        {"intended_status": "stopped"},
        {"actual_status": "offline"},
        {"actual_status": "exited"},
        {"actual_status": "created", "status_msg": "OCI runtime create failed"},
    ],
)
def test_a_failure_that_the_market_names_replaces_the_machine_and_ends_the_wait_at_once(seen: dict[str, Any]) -> None:
    served = Served()
    silent = served.seen(actual_status="unknown")
    outs = served.seen(**seen)
    began = served.world.clock.now

    assert outs["drift"][0].startswith("status: ")
    assert lifecycle.compare(SETTINGS, SETTINGS, outs).replace == ["drift"]
    with pytest.raises(errors.RentalFailed, match="pulumi refresh"):
        served.update(silent)
    assert served.world.clock.now == began


def test_a_machine_that_vanished_while_it_was_waited_for_is_lost() -> None:
    served = Served()
    outs = served.seen(actual_status="unknown")
    served.world.market.rows.clear()

    with pytest.raises(errors.RentalFailed, match="pulumi refresh"):
        served.update(outs)


@pytest.mark.parametrize("status", ["unknown", "loading", "rebooting", "scheduled", "running", "created"])
def test_doubt_that_an_older_version_wrote_as_a_status_replaces_nothing(status: str) -> None:
    outs = {**Served().outs, "drift": [f"status: the market reports it as {status}"]}

    found = lifecycle.compare(SETTINGS, SETTINGS, outs)

    assert (found.replace, found.in_place) == ([], ["drift"])


def test_a_text_says_nothing_of_an_instance_that_runs_nor_of_one_without_a_heartbeat() -> None:
    text = "Error response from daemon: unauthorized"
    ports = {"22/tcp": [{"HostPort": "1"}], "8443/tcp": [{"HostPort": "2"}]}
    up = Instance.model_validate(
        {"id": 1, "actual_status": "running", "status_msg": text, "public_ipaddr": "203.0.113.9", "ports": ports}
    )

    assert classify(up, 8443) == Running()
    assert classify(up.model_copy(update={"actual_status": "unknown"}), 8443) == Pending("unknown")
    assert isinstance(classify(up.model_copy(update={"actual_status": "loading"}), 8443), Failed)
