"""`standing.json` has what a review needs of a state, nothing that is secret, and survives what is broken in it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from providers.vast.pulumi_state import INSTANCE
from review.publishing import ACCESS, OPAQUE, standing_of
from review.standing import Standing, StandingUnreadable, read_standing
from tests.doubles.dynamic_process import ROOT, SECRET, SIGNATURE

STATES = sorted((ROOT / "tests" / "providers" / "states").glob("*.json"))
NOW = 1_795_980_000.0


def deployment(file: Path = STATES[-1]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())["deployment"]
    return found


def instances(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in state["resources"] if row["type"] == INSTANCE]


def secret(text: str) -> dict[str, str]:
    return {SIGNATURE: SECRET, "ciphertext": text}


@pytest.mark.parametrize("file", STATES, ids=lambda file: file.stem)
def test_the_state_of_each_release_becomes_a_standing(file: Path) -> None:
    found = standing_of("dev", deployment(file), {}, NOW)
    one = found.instances[0]

    assert (one.name, one.fleet, one.instance_id) == ("chat-0", "chat", 719421171)
    assert (one.gpu_name, one.gpu_count, one.country, one.machine_id) == ("RTX 3090", 1, "GB", 11656)
    assert one.usd_per_hour
    assert one.phases
    assert one.recorded is not None
    assert one.recorded.wishes["gpuNames"]
    assert one.recorded.marks
    assert (
        found.kit_bytes
        == one.recorded.kit_bytes
        == instances(deployment(file))[0]["outputs"]["kit"]["files"][0]["size"]
    )
    assert found.rotation.keys() >= {"tokens", "ssh", "certificates"}


@pytest.mark.parametrize("file", STATES, ids=lambda file: file.stem)
def test_it_holds_no_secret_no_address_and_no_key(file: Path) -> None:
    """Secrets of the state have the words `test value`. Addresses, host keys and variables are left out as well."""
    state = deployment(file)
    for row in instances(state):
        row["outputs"]["server"]["environment"] = {"PLAIN": "a value of the environment", "SEALED": secret("aGVsbG8")}
        row["outputs"]["registry"] = {"server": "ghcr.io", "user": "robot", "password": secret("cGFzcw")}
        row["outputs"]["secrets"] = secret("c2VjcmV0cw")
        row["outputs"]["drift"] = ["address: it moved from https://203.0.113.9:1 to https://203.0.113.9:2"]
        row["outputs"]["store"]["referenceUrl"] = "https://user:hunter2hunter2@files.example/x"
    text = standing_of("dev", state, {}, NOW).to_json()

    for word in (
        "test value", "ssh-ed25519", "SHA256:", "203.0.113.9", "127.0.0.1", "a value of the environment", "aGVsbG8", "cGFzcw",
        "c2VjcmV0cw", "hunter2", "ghcr.io", SIGNATURE, SECRET, "__provider", "PLAIN",
    ):  # fmt: skip
        assert word not in text
    assert json.loads(text)["instances"][0]["drift"] == ["address"]


def test_every_field_of_it_is_allowed_by_name() -> None:
    """A new field needs a look at whether it can hold a secret."""
    fields = set(standing_of("dev", deployment(), {}, NOW).instances[0].model_dump())
    assert fields == {
        "name", "fleet", "slot", "instance_id", "machine_id", "gpu_name", "gpu_count", "disk_gb", "country", "usd_per_hour",
        "charged_usd_per_hour", "phases", "created_at", "ends_at", "drift", "replaced_by_drift", "mended_by_drift",
        "recorded",
    }  # fmt: skip


def test_machines_are_known_by_the_ledger_and_by_what_runs_or_not_at_all() -> None:
    found = standing_of("dev", deployment(), {}, NOW)

    assert found.known_machines is None
    assert found.model_copy(update={"machines": (7,)}).known_machines == frozenset({7, 11656})
    assert Standing(stack="dev", at=NOW).kit_bytes is None


def test_what_is_written_is_read_again() -> None:
    found = standing_of("dev", deployment(), {}, NOW, kit="k", program="p")
    assert read_standing(found.to_json()) == found


def test_slots_come_from_stacks_of_their_own() -> None:
    slot = deployment()
    for row in instances(slot):
        row["outputs"]["label"] = row["inputs"]["label"] = "gpu-fleet/abc/burst-s3"
        row["outputs"]["name"] = "burst-s3"
    found = standing_of("dev", deployment(), {"dev.slot.burst-3": slot, "other": slot}, NOW)

    assert [(one.name, one.fleet, one.slot) for one in found.instances] == [
        ("chat-0", "chat", False),
        ("burst-s3", "burst", True),
    ]


def test_what_state_marks_for_deletion_does_not_stand() -> None:
    state = deployment()
    instances(state)[0]["delete"] = True
    assert standing_of("dev", state, {}, NOW).instances == ()


@pytest.mark.parametrize(
    "key", ["wishes", "server", "model", "access", "machine", "label", "market", "phases", "drift"]
)
@pytest.mark.parametrize("broken", [None, "a text", [1], secret("x")])
def test_a_broken_row_costs_its_own_facts_at_most(key: str, broken: Any) -> None:
    state = deployment()
    other = copy.deepcopy(instances(state)[0])
    other["outputs"]["label"] = "gpu-fleet/abc/chat-1"
    state["resources"].append(other)
    instances(state)[0]["outputs"][key] = broken
    found = standing_of("dev", state, {}, NOW)

    assert "chat-1" in found.by_name
    assert len(found.instances) + found.unreadable == 2
    assert read_standing(found.to_json()) == found


def test_drift_says_what_the_next_up_does() -> None:
    state = deployment()
    outs = instances(state)[0]["outputs"]
    for drift, replaced, mended in (
        ([], False, False),
        (["status: the market reports it as offline"], True, False),
        (["waiting: the market reports it as loading"], False, True),
        (["gate: it is closed"], False, True),
        (["another host key: SHA256:x"], True, False),
    ):
        outs["drift"] = drift
        one = standing_of("dev", state, {}, NOW).instances[0]
        assert (one.replaced_by_drift, one.mended_by_drift) == (replaced, mended), drift


def test_a_certificate_that_ends_soon_is_drift() -> None:
    state = deployment()
    instances(state)[0]["outputs"]["certificateEnd"] = NOW + 86_400
    assert standing_of("dev", state, {}, NOW).instances[0].mended_by_drift


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("[]", "no JSON"),
        ('{"version": 9, "stack": "dev", "at": 1}', "version"),
        ('{"version": 1, "at": 1}', "stack"),
        ("[" * 100_000, "no JSON"),
        ('{"a": "' + "x" * 9_000_000 + '"}', "more than 8 MB"),
    ],
)
def test_another_file_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(StandingUnreadable, match=why):
        read_standing(text)


def test_one_bad_row_of_the_file_is_left_aside_and_counted() -> None:
    good = {"name": "chat-0", "fleet": "chat"}
    rows = [
        good,
        {"name": ""},
        7,
        {**good, "name": "chat-1", "disk_gb": "much"},
        {**good, "name": "chat-2", "later": 1},
    ]
    found = read_standing(json.dumps({"version": 1, "stack": "dev", "at": 1, "instances": rows, "later": {}}))

    assert isinstance(found, Standing)
    assert [one.name for one in found.instances] == ["chat-0", "chat-2"]
    assert found.unreadable == 3


def test_the_stand_in_for_secrets_is_long_enough_for_every_key() -> None:
    assert len(OPAQUE) >= 16
    assert "metricsKey" in ACCESS
