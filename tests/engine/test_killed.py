"""The real engine in the middle of a create: killed, its provider killed, both. In the end the market's records and the state
agree, and the operator's next steps set everything right.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import known
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=8)]


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack that wants two instances; nothing is rented afterwards, whatever happened."""
    made = engine.stack(REPO)
    made.write_config(cloud.stack_config(replicas=2))
    yield made
    for row in cloud.rented():
        cloud.sandbox.market.destroy(row["id"])


def up_until(stack: Stack, phase: str) -> "tuple[subprocess.Popen[str], Lines]":
    """Begin an update and return once the first instance is in a phase, so that none is in state yet."""
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    lines = Lines(child)
    lines.wait_for(f"  {phase}  ")
    return child, lines


def providers(engine: int) -> list[int]:
    """The processes that hold dynamic providers, below an engine."""
    return [process.pid for process in descendants(engine) if b"pulumi.dynamic" in command_line(process.pid)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def sets_right(cloud: Cloud, stack: Stack) -> None:
    """The operator's next steps: `pulumi cancel`, `pulumi up`, and in the end `pulumi destroy`."""
    stack.call("cancel", "--yes", "--stack", stack.name, check=False)
    stack.up()
    assert {row["id"] for row in cloud.rented()} == known(stack).keys()
    assert len({row["label"] for row in cloud.rented()}) == len(cloud.rented()) == 2
    stack.destroy()
    assert cloud.rented() == []


@pytest.mark.parametrize("phase", ["search", "rent", "connect", "fetch weights", "start"])
def test_everything_is_given_back_after_the_engine_was_killed(cloud: Cloud, stack: Stack, phase: str) -> None:
    child, _lines = up_until(stack, phase)
    plugins = descendants(child.pid)

    os.kill(child.pid, signal.SIGKILL)

    until(lambda: not [process for process in plugins if process.alive()], "every plugin to end", 90)
    assert cloud.rented() == []
    sets_right(cloud, stack)


@pytest.mark.parametrize("phase", ["rent", "fetch weights"])
def test_the_next_up_goes_on_after_the_provider_was_killed(cloud: Cloud, stack: Stack, phase: str) -> None:
    child, _lines = up_until(stack, phase)

    for process in providers(child.pid):
        os.kill(process, signal.SIGKILL)

    assert child.wait(timeout=60) != 0
    assert known(stack).keys() <= {row["id"] for row in cloud.rented()}
    sets_right(cloud, stack)


@pytest.mark.parametrize("phase", ["search", "start"])
def test_the_next_up_goes_on_after_both_were_killed(cloud: Cloud, stack: Stack, phase: str) -> None:
    child, _lines = up_until(stack, phase)

    for process in [child.pid, *(plugin.pid for plugin in descendants(child.pid))]:
        os.kill(process, signal.SIGKILL)

    sets_right(cloud, stack)
