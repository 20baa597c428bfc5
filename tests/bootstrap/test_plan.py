"""The plan: what differs is done, in order, with a reason; what is as it should be is left alone."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.errors import StepFailed
from bootstrap.facts import Facts
from bootstrap.metrics_agent import Reporting
from bootstrap.plan import Action, plan
from bootstrap.rendered_config import (
    agent_text,
    digest,
    gate_config,
    self_destruct_text,
    vllm_config,
    vmagent_text,
)
from bootstrap.self_destruct_config import SelfDestruct
from bootstrap.spec import EndpointSpec
from tests.doubles.certificates import certificate
from tests.doubles.facts import EMPTY
from weights.manifest import File, Manifest

NOW = 1_800_000_000.0
DAY = 86400


def manifest(name: str, mark: str) -> Manifest:
    return Manifest(name=name, files=(File(path="a.bin", size=3, sha256=mark * 64, parts=(mark * 64,)),))


SPEC = EndpointSpec(
    name="chat-0",
    model=manifest("tiny", "1"),
    kit=manifest("kit", "2"),
    served_model="tiny",
    token="t" * 43,
    addresses=("203.0.113.7",),
    vllm_args=("--max-model-len", "512"),
)
FRESH = Facts.model_validate(EMPTY)


def serving(**changes: Any) -> Facts:
    """A host that is as SPEC wants it, except for the changes."""
    order, gate = digest(vllm_config(SPEC, FRESH)), digest(gate_config(SPEC))
    return Facts.model_validate(
        {
            **EMPTY,
            "kit": SPEC.kit.digest,
            "model_files": {"a.bin": 3},
            "model_verified": True,
            "vllm_wanted": order,
            "vllm_started": order,
            "vllm_healthy": True,
            "gate_wanted": gate,
            "gate_started": gate,
            "gate_open": True,
            "certificate": certificate(["203.0.113.7"], NOW + 60 * DAY),
            "certificate_epoch": "0",
            "token_digest": digest(SPEC.token),
            **changes,
        }
    )


def actions(spec: EndpointSpec, facts: Facts) -> list[Action]:
    return [step.action for step in plan(spec, facts, NOW)]


def test_a_host_that_is_as_it_should_be_needs_nothing() -> None:
    assert plan(SPEC, serving(), NOW) == []


def test_a_fresh_host_needs_everything_and_the_gate_opens_last() -> None:
    assert actions(SPEC, FRESH) == [
        Action.INSTALL_KIT,
        Action.FETCH_MODEL,
        Action.CERTIFY,
        Action.WRITE_TOKEN,
        Action.CONFIGURE_GATE,
        Action.START_VLLM,
        Action.OPEN_GATE,
    ]


@pytest.mark.parametrize(
    ("changes", "action", "why"),
    [
        ({"kit": "3" * 64}, Action.INSTALL_KIT, "another kit"),
        ({"model_files": {"a.bin": 4}}, Action.FETCH_MODEL, "files of tiny were changed"),
        ({"model_files": {"a.bin": 3, "b": 1}}, Action.FETCH_MODEL, "files of tiny were changed"),
        ({"model_verified": False}, Action.FETCH_MODEL, "files of tiny were changed"),
        ({"certificate": "rubbish"}, Action.CERTIFY, "there is no certificate"),
        ({"certificate": certificate(["203.0.113.7"], NOW + 9 * DAY)}, Action.CERTIFY, "ends in 9 days"),
        ({"certificate": certificate(["198.51.100.1"], NOW + 60 * DAY)}, Action.CERTIFY, "not good for 203.0.113.7"),
        ({"certificate_epoch": "4"}, Action.CERTIFY, "earlier rotation"),
        ({"token_digest": None}, Action.WRITE_TOKEN, "there is no token"),
        ({"gate_wanted": "0" * 64}, Action.CONFIGURE_GATE, "was changed"),
        ({"gate_started": None}, Action.CONFIGURE_GATE, "does not run"),
        ({"gate_started": "0" * 64}, Action.CONFIGURE_GATE, "another configuration"),
        ({"vllm_started": None}, Action.START_VLLM, "does not run"),
        ({"vllm_started": "0" * 64}, Action.START_VLLM, "other arguments"),
        ({"vllm_wanted": "0" * 64}, Action.START_VLLM, "other arguments"),
        ({"vllm_healthy": False}, Action.START_VLLM, "does not answer"),
    ],
)
def test_each_difference_is_one_step_and_a_new_proof(changes: dict[str, Any], action: Action, why: str) -> None:
    steps = plan(SPEC, serving(**changes), NOW)

    assert [step.action for step in steps] == [action, Action.OPEN_GATE]
    assert why in steps[0].why


def test_a_closed_gate_is_opened_and_an_old_token_dropped() -> None:
    assert actions(SPEC, serving(gate_open=False)) == [Action.OPEN_GATE]
    assert actions(SPEC, serving(previous_token=True)) == [Action.DROP_PREVIOUS_TOKEN]


def test_another_token_is_proven_before_the_old_one_is_dropped() -> None:
    assert actions(SPEC, serving(token_digest="0" * 64)) == [
        Action.WRITE_TOKEN,
        Action.OPEN_GATE,
        Action.DROP_PREVIOUS_TOKEN,
    ]


def test_another_kit_may_bring_another_gate() -> None:
    facts = serving()
    spec = replace(SPEC, kit=manifest("kit", "9"))

    assert actions(spec, facts) == [Action.INSTALL_KIT, Action.CONFIGURE_GATE, Action.OPEN_GATE]


def test_another_model_is_fetched_and_vllm_started_with_it() -> None:
    spec = replace(SPEC, model=manifest("other", "4"))

    # The facts are asked about the new model's folder, which is empty.
    assert actions(spec, serving(model_files={})) == [Action.FETCH_MODEL, Action.START_VLLM, Action.OPEN_GATE]


def test_facts_that_do_not_parse_are_a_failed_step() -> None:
    with pytest.raises(StepFailed, match="do not parse"):
        Facts.from_answer('{"gpus": 3}')


def test_a_token_that_the_gate_would_read_as_a_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        replace(SPEC, token="*")


REPORTING = Reporting("https://door.example:9443", "7.chat-0.abc", "p" * 43, 15)
REPORTS = replace(SPEC, reporting=REPORTING)


def reporting(**changes: Any) -> Facts:
    """A host that serves and reports as REPORTS wants it, except for the changes."""
    agent, vmagent = digest(agent_text(REPORTS)), digest(vmagent_text(REPORTS, REPORTING))
    started = {"agent_wanted": agent, "agent_started": agent, "vmagent_wanted": vmagent, "vmagent_started": vmagent}
    return serving(**{**started, "metrics_password": digest(REPORTING.password), **changes})


def test_a_host_that_reports_as_it_should_needs_nothing() -> None:
    assert plan(REPORTS, reporting(), NOW) == []


def test_reporting_is_set_up_while_vllm_starts_and_needs_no_new_proof() -> None:
    assert actions(REPORTS, serving()) == [Action.START_METRICS]
    assert actions(REPORTS, FRESH)[-3:] == [Action.START_VLLM, Action.START_METRICS, Action.OPEN_GATE]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metrics_password": "0" * 64}, "somebody else"),
        ({"vmagent_wanted": "0" * 64}, "elsewhere"),
        ({"vmagent_started": None}, "vmagent does not run"),
        ({"agent_started": "0" * 64}, "the agent does not run"),
        ({"agent_wanted": None}, "no metrics are reported"),
    ],
)
def test_each_difference_of_reporting_is_one_step(changes: dict[str, Any], why: str) -> None:
    [step] = plan(REPORTS, reporting(**changes), NOW)

    assert step.action is Action.START_METRICS
    assert why in step.why


def test_reporting_that_is_not_wanted_any_more_is_stopped() -> None:
    assert actions(SPEC, reporting()) == [Action.STOP_REPORTING]


def test_another_kit_may_bring_another_agent() -> None:
    assert actions(replace(REPORTS, kit=manifest("kit", "9")), reporting())[-2:] == [
        Action.START_METRICS,
        Action.OPEN_GATE,
    ]


def test_the_order_is_shell_whatever_the_url_says() -> None:
    odd = replace(REPORTING, url="https://door.example/$(reboot)'", interval_seconds=2.5)

    assert "URL='https://door.example/$(reboot)'\"'\"'/api/v1/write'" in vmagent_text(SPEC, odd)
    assert "INTERVAL=2.5s" in vmagent_text(SPEC, odd)
    assert REPORTING.password not in vmagent_text(SPEC, odd) + repr(odd)


def test_a_host_trusts_the_stacks_own_receiver_and_starts_anew_with_another_authority() -> None:
    own, renewed = replace(REPORTING, ca="a CA"), replace(REPORTING, ca="the renewed CA")

    assert "SSL_CERT_FILE" not in vmagent_text(SPEC, REPORTING)
    assert "export SSL_CERT_FILE=/opt/gpu-fleet/etc/metrics.ca # " in vmagent_text(SPEC, own)
    assert vmagent_text(SPEC, own) != vmagent_text(SPEC, renewed)


LIMITS = SelfDestruct("https://market.example", idle=1800, lifetime=43_200)
ENDS = replace(SPEC, self_destruct=LIMITS)


def armed(**changes: Any) -> Facts:
    """A host that serves and ends itself as ENDS wants it, except for the changes."""
    wanted = digest(self_destruct_text(ENDS, LIMITS))
    return serving(**{"self_destruct_wanted": wanted, "self_destruct_started": wanted, **changes})


def test_a_host_that_ends_itself_as_it_should_needs_nothing() -> None:
    assert plan(ENDS, armed(), NOW) == []


def test_the_end_is_armed_while_vllm_starts_and_needs_neither_a_new_proof_nor_a_restart() -> None:
    assert actions(ENDS, serving()) == [Action.ARM]
    assert actions(ENDS, FRESH)[-3:] == [Action.START_VLLM, Action.ARM, Action.OPEN_GATE]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"self_destruct_wanted": None, "self_destruct_started": None}, "once a limit is reached"),
        ({"self_destruct_wanted": "0" * 64}, "at another time"),
        ({"self_destruct_started": None}, "does not run"),
        ({"self_destruct_started": "0" * 64}, "does not run"),
    ],
)
def test_each_difference_of_the_end_is_one_step(changes: dict[str, Any], why: str) -> None:
    [step] = plan(ENDS, armed(**changes), NOW)

    assert step.action is Action.ARM
    assert why in step.why


def test_an_end_that_is_not_wanted_any_more_is_disarmed() -> None:
    assert actions(SPEC, armed()) == [Action.DISARM]


def test_a_lease_needs_another_gate_and_nothing_else_does() -> None:
    assert gate_config(ENDS) == gate_config(SPEC)
    leased = replace(SPEC, self_destruct=replace(LIMITS, lease=900))
    assert actions(leased, armed()) == [Action.CONFIGURE_GATE, Action.ARM, Action.OPEN_GATE]


def test_the_limits_on_the_host_are_those_of_the_fleet_and_hold_no_secret() -> None:
    assert json.loads(self_destruct_text(ENDS, LIMITS)) == {
        "kit": SPEC.kit.digest,
        "market": "https://market.example",
        "idle": 1800,
        "lifetime": 43_200,
    }
