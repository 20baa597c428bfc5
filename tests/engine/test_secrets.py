"""No secret of a stack is in what Pulumi's CLI prints or writes, whatever it is asked for; played on the real engine."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.cloud import REPO, Cloud
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=2)]

KEY = 'wandb-0123456789 & "quoted"'
OTHER = "rotated-9876543210"
ACCOUNT = {
    "gpu-fleet:vastApiKey": "sandbox-account-key",
    "gpu-fleet:storeAccessKey": "sandbox",
    "gpu-fleet:storeSecretKey": "sandbox-secret-key",
}
LEAF = "gpu-fleet:fleets.chat.environment.WANDB_API_KEY"


def forms(secret: str) -> set[str]:
    return {secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()}


def inputs_of(stack: Stack) -> dict[str, Any]:
    return next(dict(row["inputs"]) for row in stack.resources() if row["type"].endswith("vast:Instance"))


def test_a_secret_leaf_and_the_tokens_stay_secret(cloud: Cloud, engine: Engine, tmp_path: Path) -> None:
    stack = engine.stack(REPO)
    stack.write_config(cloud.stack_config())
    stack.config({"gpu-fleet:fleets.chat.environment.NUMBER": "1"}, secret={LEAF: KEY, **ACCOUNT})
    stack.env["PULUMI_DEBUG_COMMANDS"] = "true"  # as the Automation API sets it: it is what knows --event-log
    log = tmp_path / "events.json"

    told = stack.preview("--json").text + stack.preview("--diff", "--debug").text
    told += stack.up("--event-log", str(log), "--debug").text
    tokens = list(stack.outputs()["tokens"].values())
    made = inputs_of(stack)
    assert made["server"]["environment"]["NUMBER"] == "1"
    stack.config(secret={LEAF: OTHER})
    told += stack.preview("--diff").text
    told += stack.up("--json", "--event-log", str(tmp_path / "more.json")).text
    told += stack.refresh("--debug").text
    # From 9 on the engine's own log has every property in plain, whatever a program does: docs/security.md says so.
    told += stack.preview("--logtostderr", "-v=8", "--debug").text
    told += json.dumps(stack.state()) + log.read_text() + (tmp_path / "more.json").read_text()
    told += "".join(file.read_text() for file in (tmp_path / "backend").rglob("*.json"))

    assert "in place, because of" in told
    assert "resource registration successful" in told, "nothing was logged"
    for secret in (KEY, OTHER, *tokens, "sandbox-account-key", "sandbox-secret-key"):
        assert not [form for form in forms(secret) if form in told], f"found a secret of {len(secret)} characters"
    stack.destroy()
