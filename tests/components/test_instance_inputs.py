"""The program and a review build an instance's inputs with one function, which needs no engine."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pulumi
import pytest

from components.changes_page import EDITS, Edit, fleet_parts
from components.fleet import FleetArgs, inputs_of
from components.instance_inputs import OpaqueValues, instance_inputs
from components.stand_ins import METRICS_KEY, stand_ins
from config.secret_leaves import SecretLeaves
from providers.identity.resource import Identity
from providers.vast.host_spec import spec_of
from providers.vast.settings import InstanceSettings
from tests.doubles.dynamic_process import ROOT

REGISTRY = {"server": "ghcr.io", "user": "robot", "password": "hunter2-hunter2"}


class Known(str):
    """A text in the place of the engine's output."""

    __slots__ = ()

    def apply(self, rule: Any) -> Any:
        """Return the rule's result."""
        return rule(str(self))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand marked secrets on in plain: there is no engine here."""
    same = cast(Callable[..., Any], staticmethod(lambda value: value))
    monkeypatch.setattr(pulumi.Output, "secret", same)


def program_inputs(edit: Edit, leaves: SecretLeaves = SecretLeaves()) -> dict[str, Any]:  # noqa: B008 -- frozen
    """Return what the program passes for `chat-0`, with known values in place of outputs."""
    parts = fleet_parts(edit)
    opaque = stand_ins(parts.stack, "chat-0")
    identity = Identity.__new__(Identity)
    known = {
        "stackId": "stand-in",
        "sshPublicKey": opaque.ssh_public_key,
        "sshPrivateKey": opaque.ssh_private_key,
        "caCertificate": opaque.ca_certificate,
        "caKey": opaque.ca_key,
    }
    for name, value in known.items():
        object.__setattr__(identity, name, Known(value))
    args = FleetArgs(
        name=parts.name,
        fleet=parts.fleet,
        stack=parts.stack,
        model=parts.model,
        kit=parts.kit,
        identity=identity,
        blobs=[],
        rentals=cast(Any, None),
        metrics_key=cast(Any, METRICS_KEY),
        secret_leaves=leaves,
    )
    return dict(inputs_of(args, "chat-0", 0, cast(Any, opaque.token)))


def review_inputs(edit: Edit) -> dict[str, Any]:
    parts = fleet_parts(edit)
    return instance_inputs(parts, stand_ins(parts.stack, "chat-0"), "chat-0", 0)


@pytest.mark.parametrize(
    "edit",
    [
        Edit(""),
        Edit("fleets.<name>.registry", REGISTRY),
        *(edit for edit in EDITS if not edit.says),
    ],
    ids=lambda edit: f"{edit.key} {edit.when}",
)
def test_the_program_passes_what_a_review_builds(edit: Edit, plain: None) -> None:
    assert json.dumps(program_inputs(edit)) == json.dumps(review_inputs(edit))


def test_only_the_program_names_the_secrets_to_redact(plain: None) -> None:
    edit = Edit("fleets.<name>.environment", {"WANDB_API_KEY": "a leaf that is secret"})
    leaves = SecretLeaves(values=frozenset({"a leaf that is secret", "another"}))

    assert program_inputs(edit, leaves) == {**review_inputs(edit), "secrets": ["a leaf that is secret"]}


def test_without_a_metrics_key_an_instance_reports_nothing() -> None:
    parts = fleet_parts(Edit(""))
    opaque = OpaqueValues(label="l", token="t", ssh_public_key="p", ssh_private_key="k", ca_certificate="c", ca_key="k")
    inputs = instance_inputs(parts, opaque, "chat-0", 0)

    assert "metrics" not in inputs
    assert "metricsKey" not in inputs["access"]


@pytest.mark.parametrize("counter", ["tokens", "ssh", "certificates", "ca"])
def test_a_counter_of_rotation_changes_the_stand_in_that_it_renews(counter: str) -> None:
    before, after = review_inputs(Edit(""))["access"], review_inputs(Edit(f"rotation.{counter}", 1))["access"]
    renewed = {
        "tokens": {"token"},
        "ssh": {"sshPublicKey", "sshPrivateKey"},
        "certificates": {"certificateEpoch"},
        "ca": {"caCertificate"},
    }[counter]

    assert {key for key in before if before[key] != after[key]} == renewed


def test_the_builder_needs_no_pulumi() -> None:
    look = "import sys, components.instance_inputs, components.stand_ins; print('pulumi' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"


def test_a_host_reports_to_the_stacks_own_receiver_if_config_names_none() -> None:
    parts = fleet_parts(Edit("metrics.intervalSeconds", 5))
    named = instance_inputs(parts, stand_ins(parts.stack, "chat-0"), "chat-0", 0)
    assert named["metrics"] == {"url": "https://metrics.example", "intervalSeconds": 5.0}

    metrics = parts.stack.metrics
    assert metrics is not None
    own = replace(parts, stack=parts.stack.model_copy(update={"metrics": metrics.model_copy(update={"url": ""})}))
    opaque = replace(stand_ins(own.stack, "chat-0"), metrics_url="https://198.51.100.9:30443")
    inputs = instance_inputs(own, opaque, "chat-0", 0)
    assert inputs["metrics"] == {"url": "https://198.51.100.9:30443", "intervalSeconds": 5.0, "ownCa": True}

    props = {
        **inputs,
        "label": "gpu-fleet/abcdefghijklmnop/chat-0",
        "access": {**inputs["access"], "caCertificate": "our CA"},
    }
    reporting = spec_of(InstanceSettings.from_props(props), "203.0.113.7", 7).reporting
    assert reporting is not None
    assert (reporting.url, reporting.ca) == ("https://198.51.100.9:30443", "our CA")


def test_a_state_of_before_reports_as_it_did() -> None:
    parts = fleet_parts(Edit(""))
    old = InstanceSettings.from_props(instance_inputs(parts, stand_ins(parts.stack, "chat-0"), "chat-0", 0))

    assert old.metrics is not None
    assert old.metrics.own_ca is False
