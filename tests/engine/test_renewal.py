"""Certificates on the real engine: the CA is renewed under its key, and a schedule renews what ends soon and nothing else."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from providers.vast.pulumi_state import INSTANCE
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import known, stack_of_its_own
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=4)]


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    with stack_of_its_own(cloud, engine) as made:
        yield made


def renew(stack: Stack) -> subprocess.CompletedProcess[str]:
    command = "gpu-fleet renew"
    assert f"\n    {command} " in (REPO / "docs" / "operating.md").read_text()
    words = [*command.split(), "--stack", stack.name]
    return subprocess.run(
        words, cwd=stack.folder, env=stack.env, capture_output=True, text=True, check=False, timeout=200
    )


def answers(stack: Stack, ca: str) -> bool:
    found = stack.outputs()
    return bool(probe(found["endpoints"]["chat-0"], ca, found["tokens"]["chat-0"], "tiny", SystemClock(), 30).text)


def let_it_end_soon(stack: Stack, name: str = "") -> None:
    """Have the state of this stack, or of the one named, say that the certificate of its only instance ends in ten days."""
    name = name or stack.name
    state = json.loads(stack.call("stack", "export", "--stack", name).stdout)["deployment"]
    deployment = {"version": 3, "deployment": state}
    for row in state["resources"]:
        if row["type"] == INSTANCE:
            row["outputs"]["certificateEnd"] = time.time() + 10 * 86_400
    file = stack.folder.parent / "state.json"
    file.write_text(json.dumps(deployment))
    stack.call("stack", "import", "--stack", name, "--file", str(file))


def test_certificates_are_renewed_without_another_stack_or_machine(cloud: Cloud, stack: Stack) -> None:
    config = cloud.stack_config()
    stack.write_config(config)
    stack.up()
    before, first = [row["id"] for row in cloud.rented()], stack.outputs()["caCertificate"]
    assert "Nothing to renew: the first certificate ends on 20" in renew(stack).stdout

    config["gpu-fleet:rotation"] = {"ca": 1, "certificates": 1}
    stack.write_config(config)
    assert "chat-0  change  in place" in stack.preview().text
    stack.up()
    second = stack.outputs()["caCertificate"]
    assert second != first
    assert answers(stack, first), "clients with the old certificate go on"
    assert answers(stack, second)
    assert "unchanged" in stack.up("--expect-no-changes").text

    let_it_end_soon(stack)
    assert "chat  effect  endpoint closed while the gate restarts" in stack.preview().text
    deployed = config["gpu-fleet:fleets"]["chat"]["vllmArguments"]
    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = ["--max-model-len", "128"]
    stack.write_config(config)
    refused = renew(stack)
    assert refused.returncode == 1
    assert "would do more than renew (chat-0: server was edited), and nothing was done" in refused.stderr

    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = deployed
    stack.write_config(config)
    renewed = renew(stack)
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    assert "To renew: chat-0." in renewed.stdout
    assert next(iter(known(stack).values()))["certificateEnd"] > time.time() + 80 * 86_400
    assert "Nothing to renew" in renew(stack).stdout
    assert [row["id"] for row in cloud.rented()] == before
    stack.destroy()
