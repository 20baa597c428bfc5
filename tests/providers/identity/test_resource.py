"""The identity as the engine drives it: made once, renewed by counters, secret where it must be."""

import base64
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from providers.identity.authority import end_of, new_ca
from providers.identity.resource import IdentityProvider
from providers.identity.stack_id import is_stack_id
from providers.identity.state import OUTPUTS, SECRETS
from tests.doubles.dynamic_process import DynamicProcess


@pytest.fixture(scope="module")
def process() -> Iterator[DynamicProcess]:
    with DynamicProcess(IdentityProvider()) as process:
        yield process


def rotation(tokens: int = 0, ssh: int = 0, certificates: int = 0) -> dict[str, Any]:
    return {"rotation": {"tokens": tokens, "ssh": ssh, "certificates": certificates}}


def test_everything_is_made_at_once(process: DynamicProcess) -> None:
    checked = process.check(rotation())
    id_, outs = process.create(checked.inputs)

    assert checked.failures == {}
    assert id_ == outs["stackId"]
    assert is_stack_id(id_)
    assert set(outs) == {"rotation", *OUTPUTS}
    assert outs["sshPublicKey"].endswith(f"gpu-fleet-{id_}")
    assert outs["previousSshPrivateKey"] == ""
    assert process.diff(id_, outs, rotation()).changes is False


def test_two_stacks_have_nothing_in_common(process: DynamicProcess) -> None:
    (_, first), (_, second) = process.create(rotation()), process.create(rotation())

    assert [name for name in OUTPUTS if first[name] and first[name] == second[name]] == []


def test_raising_ssh_makes_a_new_key_and_keeps_the_old_one(process: DynamicProcess) -> None:
    id_, outs = process.create(rotation())

    difference = process.diff(id_, outs, rotation(ssh=1))
    renewed = process.update(id_, outs, rotation(ssh=1))

    assert (difference.changes, difference.replaces) == (True, [])
    assert renewed["previousSshPrivateKey"] == outs["sshPrivateKey"]
    assert renewed["sshPrivateKey"] != outs["sshPrivateKey"]
    assert renewed["sshPublicKey"] != outs["sshPublicKey"]
    same = ("stackId", "caKey", "caCertificate", "tokenSecret")
    assert {name: renewed[name] for name in same} == {name: outs[name] for name in same}
    assert process.diff(id_, renewed, rotation(ssh=1)).changes is False


def test_other_counters_are_recorded_and_renew_nothing_here(process: DynamicProcess) -> None:
    id_, outs = process.create(rotation())

    renewed = process.update(id_, outs, rotation(tokens=1, certificates=2))

    assert {name: renewed[name] for name in OUTPUTS} == {name: outs[name] for name in OUTPUTS}
    assert renewed["rotation"] == rotation(tokens=1, certificates=2)["rotation"]


def test_refresh_changes_nothing(process: DynamicProcess) -> None:
    id_, outs = process.create(rotation(ssh=3))

    seen = process.read(id_, outs)

    assert (seen.id, seen.outs, seen.inputs) == (id_, outs, rotation(ssh=3))


@pytest.mark.parametrize("counters", [{"ssh": 1.5}, {"ssh": "hush-hush"}, {"keys": 1}])
def test_counters_that_are_none_are_refused_in_preview(process: DynamicProcess, counters: dict[str, Any]) -> None:
    failures = process.check({"rotation": counters}).failures

    assert f"gpu-fleet:rotation.{next(iter(counters))}" in failures[""]
    assert "hush-hush" not in failures[""]


@pytest.mark.parametrize("props", [{}, {"rotation": {}}, {"rotation": {"ssh": None}}, {"rotation": None}])
def test_counters_that_vanished_on_the_way_are_zero(process: DynamicProcess, props: dict[str, Any]) -> None:
    checked = process.check(props)

    assert (checked.inputs, checked.failures) == (rotation(), {})


def test_giving_the_identity_up_touches_nothing(process: DynamicProcess) -> None:
    id_, outs = process.create(rotation())

    process.delete(id_, outs)

    assert process.read(id_, outs).outs == outs


def test_state_stays_readable_where_nothing_is_secret() -> None:
    assert IdentityProvider.serialize_as_secret_always is False


def test_the_class_is_kept_in_state_by_name_alone() -> None:
    """Module path and class name are persisted: whoever changes these bytes writes a migration."""
    raw = base64.b64decode(serialize_provider(IdentityProvider()))

    assert len(raw) < 120
    assert b"providers.identity.resource" in raw
    assert b"IdentityProvider" in raw
    assert type(pickle.loads(raw)) is IdentityProvider


def test_secrets_are_a_part_of_the_outputs() -> None:
    assert set(SECRETS) < set(OUTPUTS)
    assert {name for name in OUTPUTS if "Private" in name or "Key" in name.removesuffix("PublicKey")} <= set(SECRETS)


def test_a_ca_is_renewed_under_its_key_when_its_counter_is_raised(process: DynamicProcess) -> None:
    id_, outs = process.create(rotation())
    raised = {"rotation": {**rotation()["rotation"], "ca": 1}}

    assert process.diff(id_, outs, raised).changes is True
    renewed = process.update(id_, outs, raised)

    assert renewed["caCertificate"] != outs["caCertificate"]
    assert renewed["rotation"] == raised["rotation"]
    same = ("stackId", "caKey", "tokenSecret", "sshPublicKey", "sshPrivateKey", "previousSshPrivateKey")
    assert {name: renewed[name] for name in same} == {name: outs[name] for name in same}
    assert process.diff(id_, renewed, raised).changes is False


def test_a_ca_that_ends_soon_is_renewed_by_any_update(process: DynamicProcess) -> None:
    id_, outs = process.create(rotation())
    old = new_ca(outs["stackId"], datetime.now(UTC), days=100)
    outs |= {"caKey": old.key, "caCertificate": old.certificate}

    assert process.diff(id_, outs, rotation()).changes is True
    renewed = process.update(id_, outs, rotation())

    assert end_of(renewed["caCertificate"]) > end_of(old.certificate)
    assert renewed["caKey"] == old.key
    assert process.diff(id_, renewed, rotation()).changes is False
