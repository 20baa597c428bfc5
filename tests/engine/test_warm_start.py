"""A compile cache from one start to the next through the real engine: kept by machine, brought back, pinned for the others.

The double of vLLM leaves a file where the real one leaves its cache; bench/warm.py is about what the real one saves.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import known
from tests.doubles.pulumi_stack import Engine, Stack
from tests.engine.test_commands import command

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=3)]

BROUGHT = "compile cache of an earlier start"


@pytest.fixture
def stack(cloud: Cloud, engine: Engine, tmp_path: Path) -> Stack:
    """A stack with a manifest of its own, because the pins lie beside it."""
    manifest = Path(shutil.copy(REPO / "models/tiny.json", tmp_path / "tiny.json"))
    made = engine.stack(REPO)
    config = cloud.stack_config(replicas=1, warmStart=True)
    config["gpu-fleet:models"]["tiny"] = {"manifest": str(manifest), "source": str(REPO / "models/tiny")}
    made.write_config(config)
    return made


def size(stack: Stack, replicas: int) -> str:
    config = stack.read_config()
    config["gpu-fleet:fleets"]["chat"]["replicas"] = replicas
    stack.write_config(config)
    return stack.up().text


def outputs(stack: Stack) -> dict[str, Any]:
    (row,) = known(stack).values()
    return row


def test_a_machine_gets_its_own_cache_back_and_another_only_what_is_pinned(
    cloud: Cloud, stack: Stack, tmp_path: Path
) -> None:
    first = stack.up().text
    assert BROUGHT not in first
    assert "compile cache kept for machine" in first
    machine, warm = outputs(stack)["machine"]["id"], outputs(stack)["warm"]

    size(stack, 0)
    again = size(stack, 1)
    assert outputs(stack)["machine"]["id"] == machine
    assert BROUGHT in again

    # Two now: the second is on another machine.
    other = size(stack, 2)
    assert len({row["machine"]["id"] for row in known(stack).values()}) == 2
    assert BROUGHT not in other

    done = command(stack, "pin", "chat-0")
    assert done.returncode == 0, done.stderr
    assert f"made on machine {machine:.0f}." in done.stdout
    assert json.loads((tmp_path / "tiny.warm.json").read_text()) == {
        warm["key"]: outputs_of(stack, "chat-0")["warm"]["sha256"]
    }

    size(stack, 0)
    pinned = size(stack, 2)
    assert pinned.count(BROUGHT) >= 2
    assert "Traceback" not in first + again + other + pinned


def outputs_of(stack: Stack, name: str) -> dict[str, Any]:
    return next(row for row in known(stack).values() if row["name"] == name)


def test_what_was_never_kept_cannot_be_pinned(cloud: Cloud, stack: Stack, tmp_path: Path) -> None:
    config = stack.read_config()
    del config["gpu-fleet:fleets"]["chat"]["warmStart"]
    stack.write_config(config)
    stack.up()

    done = command(stack, "pin", "chat-0")

    assert done.returncode == 1
    assert "needs warmStart" in done.stderr
    assert not (tmp_path / "tiny.warm.json").exists()
    assert cloud.rented()
