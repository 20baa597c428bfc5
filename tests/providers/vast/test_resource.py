"""VastInstance as the engine sees it: pickled by reference, driven over gRPC, floats and missing keys included."""

import base64
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime import rpc

from providers.vast.resource import VastInstance, VastInstanceProvider
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from tests.doubles.settings import PROPS

KEY = "an-account-key-that-must-not-show"


@pytest.fixture(scope="module")
def process() -> Iterator[DynamicProcess]:
    with DynamicProcess(VastInstanceProvider()) as running:
        running.configure({"vastApiKey": KEY, "storeAccessKey": "a", "storeSecretKey": "a-store-secret"})
        yield running


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PROPS), **changes}


def outs(**changes: Any) -> dict[str, Any]:
    machine = {"id": 1, "gpuName": "RTX 4090", "gpuCount": 1, "diskGb": 48, "country": "US"}
    return changed(instanceId=7, usdPerHour=0.4, hostKey="SHA256:x", machine=machine, drift=[], **changes)


def test_state_carries_a_reference_to_the_class_and_no_code() -> None:
    pickled = base64.b64decode(serialize_provider(VastInstanceProvider()))

    assert b"providers.vast.resource" in pickled
    assert b"VastInstanceProvider" in pickled
    assert len(pickled) < 120, "a larger pickle carries attributes or code into every state"


def test_the_type_token_is_the_one_in_every_stacks_state() -> None:
    assert VastInstance._resource_type_name == "dynamic/vast:Instance"


def test_an_invalid_input_is_a_check_failure_that_names_the_field(process: DynamicProcess) -> None:
    wishes = {**PROPS["wishes"], "maxUsdPerHour": -1}

    checked = process.check(changed(wishes=wishes))

    assert "wishes.maxUsdPerHour" in checked.failures[""]


def test_unknown_inputs_of_a_first_preview_pass(process: DynamicProcess) -> None:
    checked = process.check(changed(label=rpc.UNKNOWN, access={**PROPS["access"], "caKey": rpc.UNKNOWN}), olds=PROPS)

    assert checked.failures == {}
    assert checked.inputs["label"] == rpc.UNKNOWN


def test_a_market_that_does_not_answer_is_said_in_the_preview(process: DynamicProcess) -> None:
    checked = process.check(changed(name="chat-7", label="gpu-fleet/abc/chat-7"))

    assert "vast.ai gave no usable answer to 'list'" in checked.failures[""]
    assert "Nothing was changed by this" in checked.failures[""]
    assert "`gpu-fleet sweep`" in checked.failures[""]


def test_an_existing_instance_is_not_searched_for_again(process: DynamicProcess) -> None:
    assert process.check(PROPS, olds=PROPS).failures == {}


def test_state_that_went_through_the_engine_shows_no_difference(process: DynamicProcess) -> None:
    difference = process.diff("7", outs(), PROPS)

    assert difference.changes is False
    assert difference.replaces == []


def test_what_a_preview_does_not_know_of_a_changed_identity_is_in_place_and_no_other_machine(
    process: DynamicProcess,
) -> None:
    keys = ("sshPublicKey", "sshPrivateKey", "caCertificate", "caKey", "token")
    access = {**PROPS["access"], **dict.fromkeys(keys, rpc.UNKNOWN)}

    difference = process.diff("7", outs(), changed(label=rpc.UNKNOWN, access=access))

    assert difference.changes is True
    assert difference.replaces == []


def test_what_a_preview_does_not_know_is_no_difference(process: DynamicProcess) -> None:
    store = {**PROPS["store"], "bucket": rpc.UNKNOWN}

    assert process.diff("7", outs(), changed(label=rpc.UNKNOWN, store=store)).changes is False


@pytest.mark.parametrize(
    ("changes", "replaces"),
    [
        ({"diskGb": 100}, ["diskGb"]),
        ({"server": {**PROPS["server"], "arguments": ["--max-model-len", "9"]}}, []),
        ({"limits": {**PROPS["limits"], "attempts": 9}}, []),
    ],
)
def test_differences_replace_or_update(process: DynamicProcess, changes: dict[str, Any], replaces: list[str]) -> None:
    difference = process.diff("7", outs(), changed(**changes))

    assert difference.changes is True
    assert difference.replaces == replaces
    assert difference.delete_before_replace


def test_drift_is_a_difference_and_a_machine_that_is_down_stays_while_the_market_does_not_answer(
    process: DynamicProcess,
) -> None:
    down = outs()
    down["drift"] = ["status: the market reports it as offline"]
    moved = outs()
    moved["drift"] = ["address: it moved"]

    assert process.diff("7", down, PROPS).replaces == []
    assert process.diff("7", down, PROPS).changes is True
    assert process.diff("7", moved, PROPS).replaces == []
    assert process.diff("7", moved, PROPS).changes is True


def test_a_preview_says_what_an_edit_does_to_the_clients_of_a_fleet(process: DynamicProcess) -> None:
    server = {**PROPS["server"], "arguments": ["--max-model-len", "9"]}
    rollout = {"rollout": {"fleet": "chat", "maxUnavailable": 1}, "replicas": 2}
    phases = {"phases": {"start": 20.0, "probe": 1.0}}

    for name in ("chat-0", "chat-1"):
        process.diff("7", outs(name=name, **phases), changed(name=name, server=server, **rollout))

    assert (
        "chat  effect  endpoint closed while vLLM restarts, about 21 s: 2 of 2, 1 at a time, about 42 s in all; "
        "the fleet then costs $0.800/h"
    ) in process.output


def test_a_preview_says_what_a_fleet_takes_of_the_budget(process: DynamicProcess) -> None:
    server = {**PROPS["server"], "arguments": ["--max-model-len", "9"]}
    rollout = {"rollout": {"fleet": "priced", "maxUnavailable": 1}, "replicas": 1}
    new = changed(name="priced-0", server=server, budget={"usdPerDay": 60, "usdPerMonth": 0}, **rollout)

    process.diff("7", outs(name="priced-0"), new)

    said = next(line for line in process.output.splitlines() if line.startswith("priced  effect  "))
    assert said.endswith("; the fleet then costs $0.400/h; of the budget $9.60 of $60.00 a day")


def test_an_update_that_touches_nothing_only_records(process: DynamicProcess) -> None:
    new = changed(limits={**PROPS["limits"], "attempts": 9})

    recorded = process.update("7", outs(), new)

    assert recorded["limits"]["attempts"] == 9
    assert recorded["instanceId"] == 7
    assert recorded["hostKey"] == "SHA256:x"


def test_a_refresh_without_an_answer_says_that_nothing_changed_and_what_to_run(process: DynamicProcess) -> None:
    with pytest.raises(ProviderError) as raised:
        process.read("7", outs())

    assert "chat-0: vast.ai gave no usable answer to" in str(raised.value)
    assert "what the state says stays. Run the command again once the market answers" in str(raised.value)


def test_an_error_is_one_paragraph_without_traceback_or_secret(process: DynamicProcess) -> None:
    with pytest.raises(ProviderError) as raised:
        process.create(changed(limits={**PROPS["limits"], "totalMinutes": 0.01}))

    message = str(raised.value)
    assert "chat-0: vast.ai gave no usable answer to 'list'" in message
    assert "Traceback" not in message
    for secret in (KEY, "a-store-secret", *(PROPS["access"][key] for key in ("sshPrivateKey", "caKey", "token"))):
        assert secret not in message + process.output


@pytest.fixture
def without_a_disk(tmp_path: Path) -> Iterator[DynamicProcess]:
    """Give a provider process whose folders are files."""
    for name in (f"gpu-fleet-{os.getuid()}", "cache"):
        (tmp_path / name).write_text("no folder")
    folders = {"TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with DynamicProcess(VastInstanceProvider(), environment=folders) as running:
        running.configure({"vastApiKey": KEY, "storeAccessKey": "a", "storeSecretKey": "a-store-secret"})
        yield running


def test_a_disk_that_refuses_is_one_sentence_of_the_instance(without_a_disk: DynamicProcess) -> None:
    for call in (lambda: without_a_disk.create(changed()), lambda: without_a_disk.read("7", outs())):
        with pytest.raises(ProviderError) as raised:
            call()
        assert "chat-0: a file of this computer cannot be read or written ([Errno 17]" in str(raised.value)
        assert "Make room on its disk" in str(raised.value)
        assert "Traceback" not in str(raised.value) + without_a_disk.output


def test_a_preview_on_a_disk_that_refuses_ends_in_a_sentence(without_a_disk: DynamicProcess) -> None:
    alone = without_a_disk.check(changed(replicas=1)).failures
    fleet = without_a_disk.check(changed(replicas=2, rollout={"fleet": "chat", "maxUnavailable": 1})).failures

    assert "cannot be read or written ([Errno 17]" in alone[""]
    assert "cache/gpu-fleet/rollouts cannot hold the board of the waves" in fleet[""]
    assert without_a_disk.diff("7", outs(), changed()).changes is False
