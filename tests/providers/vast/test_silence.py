"""A market that says little of a machine for a while takes no serving machine: only a failure it names replaces one."""

from typing import Any

import pytest

from bootstrap.errors import OtherHostKey
from bootstrap.facts import Facts
from providers.store.client import Keys
from providers.vast import down_check, lifecycle
from providers.vast.api import errors
from providers.vast.api.instance import Failed, Instance, Pending, Running, classify
from providers.vast.changes import Changes
from providers.vast.lifecycle import OperationContext
from sandbox.market.records.contracts import Phase
from tests.doubles.market import raising
from tests.doubles.rented_rows import Row
from tests.doubles.schedule import World
from tests.doubles.scheduled_host import Host, settings_of

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
    """A world in which chat-0 serves, and what was said. What the market says odd words of is silent, unless it `answers`."""

    def __init__(self) -> None:
        self.world = World(1)
        self.world.up("chat-0")
        self.number, _settings, self.outs = self.world.state["chat-0"]
        self.reported: list[tuple[str, str]] = []
        context = self.world.context()
        self.context = OperationContext(
            context.market,
            context.clock,
            Keys("", ""),
            lambda *words: self.reported.append(words),
            hosting=self._hosting,
        )
        self.shows_another_key = self.answers = False

    def _hosting(self, *words: Any) -> Any:
        served = self

        class ThisHost(Host):
            def observe(self, *words: Any) -> Facts:
                if served.shows_another_key:
                    raise OtherHostKey("x")
                return super().observe(*words)

            def answers(self, _endpoint: str) -> bool:
                row = served.row
                return served.answers or (row.runs and not row.contract.false_fields)

        return ThisHost(self.world.market, self.world.serving, words[0])

    @property
    def row(self) -> Row:
        return self.world.market.rows[self.number]

    def seen(self, **changes: Any) -> dict[str, Any]:
        """Have the market report this of the instance, and return what a refresh makes of it."""
        self.row.says(changes)
        return self.read()

    def read(self) -> dict[str, Any]:
        """Return what a refresh finds."""
        found = lifecycle.read(self.number, SETTINGS, self.outs, self.context)
        assert found is not None
        return found

    def verdict(self, outs: dict[str, Any]) -> Changes:
        return down_check.judge(self.number, SETTINGS, SETTINGS, outs, self.context)

    def update(self, outs: dict[str, Any]) -> dict[str, Any]:
        return lifecycle.update(self.number, SETTINGS, SETTINGS, outs, self.context)


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
        served.row.says({})


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
    assert any("unknown" in text for _phase, text in served.reported)


DOWN: list[dict[str, Any]] = [
    {"intended_status": "stopped"},
    {"actual_status": "offline"},
    {"actual_status": "exited"},
    {"actual_status": "created", "status_msg": "OCI runtime create failed"},
]
BOUND = SETTINGS.to_limits().down_seconds


@pytest.mark.parametrize("seen", DOWN)
def test_a_machine_that_is_down_is_replaced_after_a_while_if_its_endpoint_is_silent(seen: dict[str, Any]) -> None:
    served = Served()
    outs = served.seen(**seen)
    since, began = served.world.clock.time(), served.world.clock.now

    assert outs["drift"][0].startswith("status: ")
    assert outs["downSince"] == since
    assert (served.verdict(outs).replace, served.verdict(outs).in_place) == ([], ["drift"])
    served.world.clock.now = began + BOUND - 1
    assert served.verdict(outs).replace == []
    served.world.clock.now, served.outs = began + BOUND, outs
    assert served.seen(**seen)["downSince"] == since  # a later refresh does not begin anew
    assert served.verdict(outs).replace == ["drift"]
    served.answers = True
    assert (served.verdict(outs).replace, served.verdict(outs).in_place) == ([], ["drift"])
    assert "its endpoint answers, so it stays" in served.reported[-1][1]


@pytest.mark.parametrize("seen", [{}, *PASSING])
def test_a_machine_that_is_up_again_or_only_silent_is_not_replaced_however_old_the_state_is(
    seen: dict[str, Any],
) -> None:
    served = Served()
    outs = served.seen(actual_status="offline")
    served.world.clock.now += 100 * BOUND

    served.row.says(seen)

    assert (served.verdict(outs).replace, served.verdict(outs).in_place) == ([], ["drift"])


@pytest.mark.parametrize(
    "doubt", [errors.OutcomeUnknown("list", "502"), errors.CredentialsRefused("no key"), errors.RateLimited("list")]
)
def test_while_the_market_does_not_answer_nothing_is_replaced(doubt: errors.VastError) -> None:
    served = Served()
    outs = served.seen(actual_status="offline")
    served.world.clock.now += 100 * BOUND
    served.world.market.before["list"] = [raising(doubt)]

    assert served.verdict(outs).replace == []


def test_a_state_that_does_not_know_since_when_gives_a_machine_its_whole_time() -> None:
    served = Served()
    outs = {**served.seen(actual_status="offline"), "downSince": None}
    served.world.clock.now += 100 * BOUND

    assert served.verdict(outs).replace == []


def test_what_is_stopped_past_the_end_of_its_contract_is_replaced_at_once() -> None:
    served = Served()
    outs = served.seen(intended_status="stopped", end_date=served.world.clock.time() - 1)

    assert served.verdict(outs).replace == ["drift"]


def test_a_refresh_that_finds_it_up_forgets_since_when_it_was_down() -> None:
    served = Served()
    served.outs = served.seen(actual_status="offline")

    assert served.seen()["downSince"] is None


@pytest.mark.parametrize("phase", ["stopped", "exited"])
def test_what_was_stopped_is_started_again_and_mended_on_the_same_machine(phase: Phase) -> None:
    served = Served()
    served.row.contract.phase = phase
    outs = served.read()
    served.world.market.before["start"] = [raising(errors.NoCredit("no credit")), None]

    after = served.update(outs)

    assert (after["instanceId"], after["drift"], after["downSince"]) == (served.number, [], None)
    assert [call for call, _ in served.world.market.calls].count("start") == 2
    assert any("cannot be started now: no credit" in text for _phase, text in served.reported)


def test_a_host_that_comes_back_is_waited_for_and_one_that_does_not_is_named() -> None:
    served = Served()
    outs = served.seen(actual_status="offline")
    served.world.market.before["start"] = [raising(errors.RequestInvalid("resources_unavailable"))] * 99
    served.world.clock.now += BOUND / 2
    began = served.world.clock.now

    with pytest.raises(errors.RentalFailed, match="offline") as raised:
        served.update(outs)

    assert BOUND / 2 <= served.world.clock.now - began <= BOUND / 2 + 60
    assert "the next `pulumi up` takes another machine" in str(raised.value)
    assert served.verdict(outs).replace == ["drift"]
    assert served.number in served.world.market.rows


@pytest.mark.parametrize("seen", [*DOWN, PASSING[0]])
def test_nothing_is_done_to_what_answers_whatever_the_market_says(seen: dict[str, Any]) -> None:
    served = Served()
    outs = served.seen(**seen)
    served.answers = True
    began = served.world.clock.now

    after = served.update(outs)

    assert (after["drift"], after["downSince"]) == (outs["drift"], outs["downSince"])
    assert served.world.clock.now == began
    assert "answers, whatever the market says: nothing is done" in served.reported[-1][1]


def test_a_machine_with_another_host_key_is_replaced_only_after_a_while_and_a_fresh_login() -> None:
    served = Served()
    drift, since = ["another host key: x"], served.world.clock.time()
    old = {**served.outs, "drift": drift, "downSince": since - BOUND}

    assert served.verdict(old).replace == []  # it shows the right one again
    served.shows_another_key = True
    assert served.verdict(old).replace == ["drift"]
    assert served.verdict({**old, "downSince": since}).replace == []
    found = lifecycle.read(served.number, SETTINGS, served.outs, served.context) or {}
    assert (found["drift"][0].partition(":")[0], found["downSince"] is None) == ("another host key", False)


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
