"""Random histories through the real engine: a fault, a moment, somebody who is killed, and an operator's next steps.

A few in every run, which ones follows from the commit; `make soak` plays 200, and `SOAK=<from>-<to>` those seeds. A history
is its seed: it plays again.
"""

import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.doubles.cloud import Cloud
from tests.doubles.fleet_stack import calm, sets_right, stack_of_its_own, want
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants, processes_of
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until
from tests.faults.test_engine import AT_DESTROY, BORNE, OF_ONE_INSTANCE, REFUSED
from tests.tiers import head, tier_of

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(600)]

FAULTS = [
    *(name for names in (*OF_ONE_INSTANCE.values(), *BORNE.values()) for name in names),
    *REFUSED,
    *AT_DESTROY,
]
PHASES = ("search", "rent", "wait", "connect", "preflight", "install", "fetch weights", "start", "probe")
ALL, A_FEW = 200, 1  # histories of a soak, and of an ordinary run
VICTIMS = ("nobody", "engine", "providers", "everybody", "interrupted")


def seeds() -> range:
    first, _, last = os.environ.get("SOAK", "").partition("-")
    if last:
        return range(int(first), int(last))
    start = tier_of(os.environ, head()).seed % ALL
    return range(start, start + A_FEW)


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    with stack_of_its_own(cloud, engine) as made:
        yield made


@pytest.mark.parametrize("seed", seeds())
def test_nothing_is_left_rented_after(cloud: Cloud, stack: Stack, seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randint(1, 2)
    want(cloud, stack, count)
    for name in chance.sample(FAULTS, chance.randint(0, 2)):
        cloud.sandbox.arm(name, nth=chance.randint(1, 2))

    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    lines = Lines(child)
    strike(child.pid, lines, chance.choice(PHASES), chance.choice(VICTIMS))
    child.wait(timeout=300)
    until(lambda: not processes_of(stack.folder.parent), "every plugin to end", 120)

    stack.call("cancel", "--yes", "--stack", stack.name, check=False)
    if chance.random() < 0.5:
        sets_right(cloud, stack, count)
    else:
        calm(cloud)
        stack.destroy()
        assert cloud.rented() == [], lines.text


def strike(engine: int, lines: Lines, phase: str, victim: str) -> None:
    """Kill somebody once chat-0 is through a phase, or leave it be where it never gets there."""
    if victim == "nobody" or not lines.shows(f"chat-0  {phase}  "):
        return
    plugins = [process.pid for process in descendants(engine)]
    struck = {"engine": [engine], "interrupted": [engine], "providers": plugins, "everybody": [engine, *plugins]}
    for process in struck[victim]:
        try:
            os.kill(process, signal.SIGINT if victim == "interrupted" else signal.SIGKILL)
        except ProcessLookupError:
            continue
