"""What happens to a fleet behind its back, one thing an instance: `drift` and `refresh` name each, and `up` mends each."""

import json
import subprocess
import time
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from bootstrap.connect import connect
from providers.vast.pulumi_state import INSTANCE, unwrapped
from tests.doubles.certificates import certificate
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import assert_all_serve, calm, want
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=3)]

ETC = "/opt/gpu-fleet/etc"
# By hand on the host -> what refresh says of it.
BY_HAND = {
    "chat-3": (f'sed -i \'s/"argv": \\[/&"env", /\' {ETC}/vllm.wanted', "start: vLLM runs with other arguments"),
    "chat-4": (
        "for f in /workspace/models/*/config.json; do echo >> $f; done",
        "fetch weights: files of tiny were changed",
    ),
    "chat-5": (f"echo '{{}}' > {ETC}/gate.wanted", "install: the gate's configuration was changed"),
    "chat-6": (f"cat > {ETC}/tls.crt", "install: the certificate ends in 0 days"),
}


def test_each_drift_is_named_and_mended(cloud: Cloud, engine: Engine) -> None:
    stack = engine.stack(REPO)
    want(cloud, stack, 7)
    stack.up()
    ids = {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}
    outputs = secrets(stack)
    cloud.sandbox.market.destroy(ids["chat-0"])
    cloud.sandbox.market.stop(ids["chat-1"])
    cloud.sandbox.arm("moved-ports", instance="chat-2")
    dearer = next(one for one in cloud.sandbox.market.all() if one.id == ids["chat-3"])
    dearer.meter.reprice(cloud.sandbox.market.clock.now(), 5.0)
    for name, (command, _says) in BY_HAND.items():
        old = certificate(["127.0.0.1"], time.time() - 86400) if name == "chat-6" else ""
        by_hand(outputs[name], command, old)

    before = stack.state()
    found = drift(stack, ends=7)
    assert sorted(found) == sorted(ids)
    assert found["chat-0"] == ["the market lists it no more"]
    assert found["chat-1"][0].startswith("status: the market stopped it")
    assert found["chat-2"][0].startswith("address: it moved from")
    assert any(line.startswith("price: charged $5.") for line in found["chat-3"])
    for name, (_command, says) in BY_HAND.items():
        assert any(line.startswith(says) for line in found[name])
    assert stack.state() == before

    told = stack.refresh().text

    assert "chat-0 deleted" in told
    assert "chat-1  drift  status: the market stopped it" in told
    assert "chat-2  drift  address: it moved from" in told
    assert "chat-3  price  it is charged $5." in told
    for name, (_command, says) in BY_HAND.items():
        assert f"{name}  drift  {says}" in told
    calm(cloud)
    stack.up()
    assert_all_serve(cloud, stack, 7)
    assert stack.outputs()["hourlyCost"] > 5
    after = {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}
    assert {name for name in ids if after[name] != ids[name]} == {"chat-0"}, "what was stopped is started"
    assert drift(stack, ends=0) == {}
    assert "  drift  " not in stack.refresh().text
    stack.destroy()
    assert cloud.rented() == []


def secrets(stack: Stack) -> dict[str, dict[str, Any]]:
    """Outputs of the instances by name, secrets in plain."""
    text = stack.call("stack", "export", "--show-secrets", "--stack", stack.name).stdout
    rows = [unwrapped(row["outputs"]) for row in json.loads(text)["deployment"]["resources"] if row["type"] == INSTANCE]
    return {str(row["name"]): row for row in rows}


def drift(stack: Stack, ends: int) -> dict[str, list[str]]:
    """Lines of `gpu-fleet drift --json` by instance; no secret of the stack may be in what it prints."""
    done = subprocess.run(
        ["gpu-fleet", "drift", "--json", "--stack", stack.name],
        cwd=stack.folder,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == ends, done.stdout + done.stderr
    for outs in secrets(stack).values():
        assert outs["access"]["token"] not in done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for row in json.loads(done.stdout)["drift"]:
        found.setdefault(row["name"], []).append(row["what"])
    return found


def by_hand(outs: dict[str, Any], command: str, text: str) -> None:
    """Log in and do something that nobody ordered."""
    address, _, port = str(outs["ssh"]).rpartition(":")
    key = outs["access"]["sshPrivateKey"]
    host = connect(address, int(port), key, str(outs["hostKey"]), SystemClock(), 15, lambda *_: None)
    try:
        done = host.run(command, text.encode())
        assert done.status == 0, done.tail()
    finally:
        host.close()
