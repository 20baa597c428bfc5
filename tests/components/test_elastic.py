"""What the main stack hands to its slots makes an instance as `up` of a fixed fleet would, and changes as that does."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pulumi
import pytest

from components.changes_page import EDITS, Edit, fleet_parts
from components.elastic import completed, fleet_part
from components.instance_inputs import instance_inputs, slot_inputs
from components.slot import SECRET_ACCESS, instance_of
from components.stand_ins import stand_ins
from config.clients import ClientConfig
from config.slot_names import SlotName
from providers.elastic.applied import Applied, parse
from providers.identity.tokens import api_key_for
from providers.vast.settings import InstanceSettings

SECRET = "5e" * 32
MAIN = "organization/gpu-fleet/dev"
ELASTIC = Edit("fleets.<name>.replicas", {"max": 2})
COMMON = {
    "version": 1,
    "stack": "dev",
    "project": "gpu-fleet",
    "stackId": "abc",
    "marketUrl": "https://console.vast.ai",
    "tokenSecret": SECRET,
    "tokenEpoch": 0,
    "sshKey": "key",
    "caCertificate": "certificate",
    "keys": {"vastApiKey": "a key of the account"},
}


def applied(edit: Edit = ELASTIC, **clients: ClientConfig) -> Applied:
    """Return the output as a slot reads it: it went through JSON."""
    return parse(json.loads(json.dumps(completed(COMMON, {"chat": part_of(edit)}, clients))))


def part_of(edit: Edit) -> dict[str, Any]:
    parts = fleet_parts(edit)
    opaque = replace(stand_ins(parts.stack, ""), token="", label="")
    return fleet_part(parts, slot_inputs(instance_inputs(parts, opaque, "", 0)))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Hand marked secrets on in plain, and collect them: there is no engine here."""
    marked = set[str]()

    def secret(value: Any) -> Any:
        marked.add(str(value))
        return value

    monkeypatch.setattr(pulumi.Output, "secret", cast(Callable[..., Any], staticmethod(secret)))
    return marked


def test_a_slot_s_instance_is_that_of_a_fixed_fleet_but_for_name_wave_and_main_stack(plain: set[str]) -> None:
    found = applied()
    slot = InstanceSettings.from_props(instance_of(found, found.fleets["chat"], SlotName("dev", "chat", 3), MAIN))
    token = found.token("chat-s3")
    parts = fleet_parts(ELASTIC)
    opaque = replace(stand_ins(parts.stack, "chat-s3"), token=token, label="gpu-fleet/abc/chat-s3")
    fixed = InstanceSettings.from_props(instance_inputs(parts, opaque, "chat-s3", 3))

    assert slot.label == "gpu-fleet/abc/chat-s3"
    assert slot.main_stack == MAIN
    assert slot.access.token.get_secret_value() == token
    assert slot.rollout is None
    own = {"rollout": None, "replicas": 1, "main_stack": MAIN}
    assert slot == fixed.model_copy(update=own)


def test_every_secret_among_the_inputs_of_a_slot_is_marked(plain: set[str]) -> None:
    found = applied()
    inputs = instance_of(found, found.fleets["chat"], SlotName("dev", "chat", 0), MAIN)

    assert set(inputs["access"]) - SECRET_ACCESS == {"sshPublicKey", "caCertificate", "certificateEpoch"}
    assert {inputs["access"][key] for key in SECRET_ACCESS} <= plain
    assert SECRET not in json.dumps(inputs)


def test_secret_leaves_of_config_stay_secret_in_a_slot(plain: set[str]) -> None:
    found = applied()
    fleet = found.fleets["chat"]
    server = {**fleet.instance["server"], "environment": {"WANDB_API_KEY": "a leaf that is secret"}}
    instance = {**fleet.instance, "server": server, "secrets": ["a leaf that is secret"]}

    instance_of(found, fleet.model_copy(update={"instance": instance}), SlotName("dev", "chat", 0), MAIN)

    assert "a leaf that is secret" in plain


def digest(edit: Edit, **common: Any) -> str:
    return str(completed({**COMMON, **common}, {"chat": part_of(edit)}, {})["fleets"]["chat"]["digest"])


@pytest.mark.parametrize(
    "edit",
    [one for one in EDITS if not one.says and one.key != "rotation.tokens" and not one.key.startswith("budget.")],
    ids=lambda edit: f"{edit.key} {edit.when}",
)
def test_each_edit_that_concerns_a_running_instance_changes_the_digest(edit: Edit) -> None:
    assert digest(edit) != digest(Edit(""))


def test_a_budget_is_no_part_of_the_digest_so_that_its_edit_rolls_no_slot() -> None:
    with_budget = Edit("budget.usdPerDay", 5)

    assert digest(with_budget) == digest(Edit(""))
    assert "budget" not in part_of(with_budget)["instance"]
    parts = fleet_parts(with_budget)
    inputs = instance_inputs(parts, stand_ins(parts.stack, "chat-0"), "chat-0", 0)
    assert inputs["budget"] == {"usdPerDay": 5.0, "usdPerMonth": 0.0}


def test_new_tokens_change_the_digest_and_bounds_of_the_count_and_waves_do_not() -> None:
    plain = digest(ELASTIC)

    assert digest(ELASTIC, tokenEpoch=1) != plain
    assert digest(Edit("fleets.<name>.replicas", {"max": 7, "idleSeconds": 1})) == plain
    assert digest(Edit("fleets.<name>.rollout", {"maxUnavailable": 2})) == digest(Edit(""))


def test_a_client_gets_the_key_that_derives_from_the_stack_s_secret() -> None:
    found = applied(ELASTIC, team=ClientConfig(max_instances=3), old=ClientConfig(key_epoch=1))

    assert found.clients["team"].api_key.get_secret_value() == api_key_for(SECRET, "team", 0)
    assert found.clients["team"].max_instances == 3
    assert found.clients["old"].api_key.get_secret_value() == api_key_for(SECRET, "old", 1)


def test_a_slot_takes_the_budget_that_the_main_stack_applied_last(plain: set[str]) -> None:
    fleets = {"chat": part_of(ELASTIC)}
    for budget, wanted in (
        ({}, None),
        ({"usdPerDay": 5.0}, {"usdPerDay": 5.0, "usdPerMonth": 0.0, "controllerShare": 0.5, "elastic": ["chat"]}),
        ({"usdPerDay": 5.0, "enforce": False}, None),
    ):
        found = parse(json.loads(json.dumps(completed({**COMMON, "budget": budget}, fleets, {}))))
        assert instance_of(found, found.fleets["chat"], SlotName("dev", "chat", 3), MAIN).get("budget") == wanted
