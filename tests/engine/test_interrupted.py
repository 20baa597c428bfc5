"""Ctrl-C on the real engine: once finishes what is begun and says so; twice gives it back, and names what that is.

The market's clock is slow here: giving back takes longer than the five seconds after which the engine kills its plugins.
"""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.doubles.cloud import REPO, Cloud, running_cloud
from tests.doubles.fleet_stack import known
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=6)]

TIME_SCALE = 8.0  # absence is believed 90 s of the market's after the rent: 11 of ours


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud"), time_scale=TIME_SCALE) as running:
        yield running


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack that wants two instances; nothing is rented afterwards, whatever happened."""
    made = engine.stack(REPO)
    made.write_config(cloud.stack_config(replicas=2))
    yield made
    cloud.sandbox.disarm("key-revoked")
    for row in cloud.rented():
        cloud.sandbox.market.destroy(row["id"])


def up_until_rented(cloud: Cloud, stack: Stack) -> tuple["subprocess.Popen[str]", Lines]:
    """Begin an update and return once both instances are rented."""
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    lines = Lines(child)
    for name in ("chat-0", "chat-1"):
        lines.wait_for(f"{name}  rent  ")
    return child, lines


def interrupt(child: "subprocess.Popen[str]", lines: Lines) -> None:
    """Press Ctrl-C, and return when the provider has said what it finishes."""
    os.kill(child.pid, signal.SIGINT)
    lines.wait_for("^C received; cancelling")  # two signals at once are one
    for name in ("chat-0", "chat-1"):
        lines.wait_for(f"{name}  finishing  about ")


def test_one_interrupt_finishes_what_is_begun_and_says_for_how_long(cloud: Cloud, stack: Stack) -> None:
    child, lines = up_until_rented(cloud, stack)

    interrupt(child, lines)

    child.wait(timeout=120)
    assert "until it serves; ^C again gives it back" in lines.text
    assert {row["id"] for row in cloud.rented()} == known(stack).keys()
    assert len(known(stack)) == 2


def test_two_interrupts_name_what_they_give_back_and_nothing_is_left(cloud: Cloud, stack: Stack) -> None:
    child, lines = up_until_rented(cloud, stack)
    rented = [row["id"] for row in cloud.rented()]
    plugins = descendants(child.pid)
    interrupt(child, lines)

    os.kill(child.pid, signal.SIGINT)

    for number in rented:
        lines.wait_for(f"instance {number} at $", 60)
        lines.wait_for(
            f"run `pulumi up`, which goes on with it, or end it with `vastai destroy instance {number} -y`", 60
        )
    child.wait(timeout=120)
    until(lambda: not [process for process in plugins if process.alive()], "every plugin to end", 90)
    assert cloud.rented() == []
    assert len(rented) == 2
    for number in rented:
        assert f"confirm gone  instance {number}" in lines.text

    stack.call("cancel", "--yes", "--stack", stack.name, check=False)
    stack.up()
    assert {row["id"] for row in cloud.rented()} == known(stack).keys()
    stack.destroy()
    assert cloud.rented() == []


def test_what_cannot_be_given_back_is_named_with_its_price(cloud: Cloud, stack: Stack) -> None:
    child, lines = up_until_rented(cloud, stack)
    interrupt(child, lines)
    rented = [row["id"] for row in cloud.rented()]

    cloud.sandbox.arm("key-revoked")
    os.kill(child.pid, signal.SIGINT)

    for number in rented:
        lines.wait_for(f"INSTANCE {number} MAY STILL BE RENTED at $", 60)
    child.wait(timeout=120)
