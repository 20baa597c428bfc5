"""The real engine interrupted, killed, and at full parallelism: who notices, who ends, and how quietly."""

from __future__ import annotations

import os
import signal
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doubles.pulumi_stack import Stack, sandbox_config

pytestmark = [pytest.mark.engine, pytest.mark.rotating(of=3)]

REPO = Path(__file__).resolve().parents[2]
UP = ("up", "--stack", "test", "--yes", "--skip-preview", "--parallel", "64")

PROGRAM = """
    import pulumi
    from made import Made
    processes = [pulumi.ProviderResource("pulumi-python", f"p{n}", {}) for n in range(4)]
    for n in range(int(pulumi.Config().require("count"))):
        Made(f"m{n}", {"n": n}, pulumi.ResourceOptions(provider=processes[n // 4]))
    """

# A create that shows that it began, then waits through the project's own watched clock.
MADE = """
    import os, pathlib
    from pulumi.dynamic import CreateResult, Resource, ResourceProvider

    FOLDER = pathlib.Path(os.environ.get("FOLDER", "."))

    class Provider(ResourceProvider):
        def create(self, props):
            from providers.engine_watch import EngineGone, EngineWatch, WatchedClock
            clock = WatchedClock(EngineWatch.of_this_process())
            number = int(props["n"])
            (FOLDER / f"began-{number}").write_text(str(os.getppid()))
            try:
                while not (FOLDER / "go-on").exists():
                    clock.sleep(0.05)
            except EngineGone:
                (FOLDER / f"gave-back-{number}").touch()
                raise
            return CreateResult(f"id-{number}", props)

    class Made(Resource, module="tiny", name="Made"):
        def __init__(self, name, props, opts=None):
            super().__init__(Provider(), name, props, opts)
    """


@pytest.fixture
def waiting(engine, tmp_path):
    """A function that starts an update whose creates wait; returns the CLI's process when all of them run."""
    program = tmp_path / "p"
    program.mkdir()
    (program / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    (program / "made.py").write_text(textwrap.dedent(MADE))

    def start(count: int):
        stack = engine.stack(program)
        stack.config({"count": str(count)})
        child = stack.start(*UP, env={"FOLDER": str(tmp_path), "PYTHONPATH": str(REPO)})
        wait_for(lambda: len(list(tmp_path.glob("began-*"))) == count, f"{count} creates to run at once", child)
        return stack, child

    return start


def test_sixteen_creates_run_at_once_over_four_provider_processes(waiting, tmp_path):
    stack, child = waiting(16)
    (tmp_path / "go-on").touch()
    stdout, stderr = child.communicate(timeout=120)
    assert child.returncode == 0, stdout + stderr
    assert len({file.read_text() for file in tmp_path.glob("began-*")}) == 4
    assert len([r for r in stack.resources() if r["type"].endswith("tiny:Made")]) == 16


def test_an_interrupt_is_quiet_and_leaves_no_process(waiting, tmp_path):
    _, child = waiting(1)
    child.send_signal(signal.SIGINT)  # the engine now waits for the create that runs
    (tmp_path / "go-on").touch()
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode != 0
    assert "Traceback" not in stdout + stderr
    assert "KeyboardInterrupt" not in stdout + stderr
    wait_for(lambda: not in_session(child.pid), "every process of the update to end")


def test_a_killed_engine_is_noticed_by_a_create_behind_the_launcher(waiting, tmp_path):
    _, child = waiting(1)
    child.kill()
    killed = time.monotonic()
    wait_for((tmp_path / "gave-back-0").exists, "the create to give back")
    assert time.monotonic() - killed < 10  # a second by design; a loaded machine may take longer


def test_a_killed_engine_takes_the_program_and_its_host_with_it(waiting):
    _, child = waiting(1)
    child.kill()
    wait_for(
        lambda: not any("language_host" in c or "run_program" in c for c in in_session(child.pid)),
        "the language host and the program to end",
    )


def test_after_a_killed_engine_the_next_update_creates_again(waiting, tmp_path):
    stack, child = waiting(1)
    child.kill()
    wait_for((tmp_path / "gave-back-0").exists, "the create to give back")
    stack.call("cancel", "--yes", "--stack", "test")
    (tmp_path / "go-on").touch()
    done = stack.up(env={"FOLDER": str(tmp_path), "PYTHONPATH": str(REPO)})
    assert "interrupted" in done.text
    assert [r["id"] for r in stack.resources() if r["type"].endswith("tiny:Made")] == ["id-0"]


# A program whose provider process is never called, because nothing is made with it.
UNCALLED = """
    import os, pathlib, time
    import pulumi

    def wait(_id):
        folder = pathlib.Path(os.environ["FOLDER"])
        (folder / "began").touch()
        while not (folder / "go-on").exists():
            time.sleep(0.05)

    pulumi.ProviderResource("pulumi-python", "p", {}).id.apply(wait)
    """
OFFICIAL = '#!/bin/sh\n"$PWD/.venv/bin/python" -u -m pulumi.dynamic "$@"\n'  # Pulumi's own launcher does as much


def kill_before_a_call(stack: Stack, folder: Path) -> int:
    """Kill the engine of an update whose provider process was configured and not called; return its session."""
    program = stack.folder / "__main__.py"
    kept = program.read_text()
    program.write_text(textwrap.dedent(UNCALLED))
    child = stack.start(*UP, env={"FOLDER": str(folder)})
    wait_for((folder / "began").exists, "the provider process", child)
    assert any("pulumi.dynamic" in line for line in in_session(child.pid))
    child.kill()
    program.write_text(kept)
    return child.pid


def test_a_killed_engine_takes_a_provider_process_with_it_that_no_call_has_reached(engine, tmp_path):
    session = kill_before_a_call(engine.stack(REPO), tmp_path)

    wait_for(lambda: not in_session(session), "every process of the update to end")


def test_behind_pulumis_own_launcher_the_next_program_ends_it(engine, tmp_path):
    launcher = tmp_path / "official" / "pulumi-resource-pulumi-python"
    launcher.parent.mkdir()
    launcher.write_text(OFFICIAL)
    launcher.chmod(0o755)
    engine.env["PATH"] = f"{launcher.parent}:{engine.env['PATH']}"
    stack = engine.stack(REPO)
    stack.write_config(sandbox_config("http://127.0.0.1:1", 1, "http://127.0.0.1:2"))
    session = kill_before_a_call(stack, tmp_path)
    wait_for(lambda: len(in_session(session)) == 2, "all but the launcher and its process to end")

    stack.call("cancel", "--yes", "--stack", stack.name)
    stack.refresh("--clear-pending-creates")

    wait_for(lambda: not in_session(session), "the process to end")


def in_session(session: int) -> list[str]:
    """Return the command lines of the session's processes, zombies left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z" and int(folder.name) != os.getpid():
            found.append(line)
    return found


def wait_for(condition: Callable[[], bool], what: str, child=None, deadline_s: float = 90) -> None:
    """Poll until the condition holds; fails with what the process said where it ends before, or at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        if child is not None and child.poll() is not None:
            pytest.fail(f"the engine ended while the test waited for {what}:\n{''.join(child.communicate())}")
        assert time.monotonic() < end, f"waited {deadline_s:.0f} s for {what}"
        time.sleep(0.05)
