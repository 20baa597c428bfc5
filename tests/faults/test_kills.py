"""Random kills of `up` and `destroy` of a stack that a cluster watches. After each, docs/operating.md leads to green.

A case is its seed: it plays again. `make test-deep` plays four kills of each of six.
"""

import contextlib
import os
import random
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.engine_watch import Process
from sandbox.services.kubernetes import Kubernetes
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import assert_all_serve, stack_of_its_own
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants, executable, processes_of
from tests.doubles.pulumi_stack import Engine, Stack, watching_config
from tests.doubles.until import until
from tests.engine.test_operating import blocks, follow
from tools.machine import paths

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.monitoring, pytest.mark.deep, pytest.mark.timeout(1200)]

SEEDS, KILLS = 6, 4
LINES = {"up": 60, "destroy": 40}  # what a command prints at least
PULUMIS_OWN = paths.find(REPO, os.environ).kubernetes_plugin
GOES_ON, GIVES_BACK, REST = blocks("The update was killed")


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    with Kubernetes(tmp_path_factory.mktemp("cluster") / "kubernetes") as running:
        yield running


@pytest.fixture
def stack(cloud: Cloud, engine: Engine, kubernetes: Kubernetes) -> Iterator[Stack]:
    """A stack whose config wants one instance, and a namespace of its own that watches it."""
    with stack_of_its_own(cloud, engine) as made:
        (made.folder / "kubeconfig").write_text(kubernetes.kubeconfig())
        watching = watching_config("kubeconfig", namespace=f"watch-{secrets.token_hex(4)}")
        made.write_config(cloud.stack_config() | watching)
        try:
            yield made
        finally:
            end([process.pid for process in processes_of(made.folder.parent)])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_after_random_kills_the_page_leads_to_green(cloud: Cloud, stack: Stack, seed: int) -> None:
    chance = random.Random(seed)
    serves = seed % 2 == 1
    if serves:
        stack.up()
    for _kill in range(KILLS):
        told = kill(stack, "destroy" if serves else "up", chance)
        serves = chance.random() < 0.5
        told += follow(stack, GOES_ON if serves else [*GIVES_BACK, *REST])
        if serves:
            assert_all_serve(cloud, stack, 1)
        else:
            assert cloud.rented() == [], told
            assert stack.resources() == [], told
        assert not stack.state().get("pending_operations"), told
        assert_quiet(stack.preview().text, told)
        assert_no_process(stack, told)


def kill(stack: Stack, command: str, chance: random.Random) -> str:
    """Kill the engine, or it and its plugins, at a random line of its output; return what it printed until then."""
    child = stack.start(command, "--stack", stack.name, "--yes", "--skip-preview")
    lines = Lines(child)
    assert lines.reaches(chance.randint(1, LINES[command])), lines.text
    plugins = [process.pid for process in descendants(child.pid)] if chance.random() < 0.3 else []
    end([child.pid, *plugins])
    child.wait(timeout=60)
    return f"$ pulumi {command}, killed with {len(plugins)} plugins\n{lines.text}"


def assert_quiet(text: str, told: str) -> None:
    """Fail if the engine warns of something. That a plugin is on PATH is no warning to an operator."""
    warnings = [line for line in text.splitlines() if line.startswith("warning:") and "plugin" not in line]
    assert warnings == [], told


def assert_no_process(stack: Stack, told: str) -> None:
    folder = stack.folder.parent
    try:
        until(lambda: not not_pulumis(folder), "every process of the stack to end", 60)
    except AssertionError as error:
        left = [Path(f"/proc/{process.pid}/cmdline").read_bytes() for process in not_pulumis(folder)]
        raise AssertionError(f"{error}: {left}\n{told}") from None


def not_pulumis(folder: Path) -> list[Process]:
    """Return the processes of a stack without Pulumi's own Kubernetes plugin.

    That one looks for its engine only every five minutes (`Healthcheck` in pulumi/pkg 3.215, resource/provider/main.go).
    If it is not built, a stand-in takes its place, which ends with its engine.
    """
    return [one for one in processes_of(folder) if executable(one) != PULUMIS_OWN]


def end(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
