"""`rotation.*` on the real engine where it could cost a machine: nobody else offers one, or the update is killed."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.doubles.cloud import Cloud
from tests.doubles.fleet_stack import assert_all_serve, known, stack_of_its_own
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until
from tests.engine.test_operating import blocks, follow

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=4)]


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack with one instance that serves."""
    with stack_of_its_own(cloud, engine) as made:
        made.write_config(cloud.stack_config())
        made.up()
        yield made


def rotate(stack: Stack, **counters: int) -> None:
    stack.write_config({**stack.read_config(), "gpu-fleet:rotation": counters})


def keys_on(cloud: Cloud, instance: int) -> set[str]:
    """The public SSH keys that the market lets onto an instance, without their comments."""
    (contract,) = [row for row in cloud.sandbox.market.all() if row.id == instance]
    return {line.split()[1] for line in contract.keys.values()}


def test_everything_rotates_in_place_though_nobody_else_offers(
    cloud: Cloud, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [row["id"] for row in cloud.rented()]
    monkeypatch.setattr(cloud.sandbox.market, "_listed", {})
    assert cloud.sandbox.market.listed() == []
    rotate(stack, ssh=1, tokens=1, certificates=1, ca=1)

    told = stack.preview("--save-plan", "plan.json").text
    stack.up("--plan", "plan.json")

    assert "chat-0  change  in place" in told
    assert "another machine" not in told
    assert [row["id"] for row in cloud.rented()] == before
    assert_all_serve(cloud, stack, 1)
    stack.up()
    assert "unchanged" in stack.up("--expect-no-changes").text
    stack.destroy()


def test_an_ssh_rotation_that_was_killed_before_state_had_the_key_locks_nobody_out(cloud: Cloud, stack: Stack) -> None:
    (instance,) = known(stack)
    old = keys_on(cloud, instance)
    rotate(stack, ssh=1)
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    # From its completion on, what the provider answers does not reach a stopped engine: state cannot learn the new key.
    Lines(child).wait_for("chat-0  probe  https://")
    plugins = descendants(child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: len(keys_on(cloud, instance)) > len(old), "the new key to be let in")
    for process in [child.pid, *(plugin.pid for plugin in plugins)]:
        os.kill(process, signal.SIGKILL)
    assert child.wait(timeout=60) == -signal.SIGKILL
    assert known(stack)[instance]["drift"] == [], "state has learned of the new key"

    told = follow(stack, blocks("The update was killed")[0])

    assert known(stack).keys() == {instance}, told
    assert_all_serve(cloud, stack, 1)
    follow(stack, ["pulumi up"])
    assert "unchanged" in stack.up("--expect-no-changes").text
    assert len(keys_on(cloud, instance)) == len(old)
    assert not keys_on(cloud, instance) & old
    stack.destroy()
    assert cloud.rented() == []
