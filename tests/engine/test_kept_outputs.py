"""Outputs under the real engine: an update that ends early shows none of them as removed, and none is."""

import os
import signal
import textwrap
from pathlib import Path

import pytest

from tests.doubles.lines import Lines
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.rotating(of=3)]

REPO = Path(__file__).resolve().parents[2]
PROGRAM = """
    import pulumi
    from components.kept_outputs import keep_outputs
    from things import Thing

    kept = keep_outputs()
    config = pulumi.Config()
    thing = Thing("thing", {"mode": config.get("mode"), "said": None})
    pulumi.export("said", pulumi.Output.all(kept, thing.said).apply(lambda both: both[1]))
    pulumi.export("token", pulumi.Output.secret("hush"))
    """
THINGS = """
    import time
    from pathlib import Path

    import pulumi
    from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

    class Provider(ResourceProvider):
        def create(self, props):
            return CreateResult("thing", {**props, "said": props["mode"]})

        def diff(self, _id, olds, news):
            return DiffResult(changes=olds["mode"] != news["mode"], replaces=[])

        def update(self, _id, _olds, news):
            if news["mode"] == "fails":
                raise ValueError("it fails")
            while news["mode"] == "waits" and not Path("go").exists():
                print("it waits", flush=True)
                time.sleep(0.1)
            return UpdateResult({**news, "said": news["mode"]})

    class Thing(Resource):
        said: pulumi.Output[str]

        def __init__(self, name, props):
            super().__init__(Provider(), name, props)
    """


@pytest.fixture
def stack(engine: Engine, tmp_path: Path) -> Stack:
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    (program / "things.py").write_text(textwrap.dedent(THINGS))
    for room in ("components", "config"):
        (program / room).symlink_to(REPO / room)
    stack = engine.stack(program, "kept", project="gpu-fleet")
    stack.config({"mode": "works"})
    return stack


def test_outputs_outlast_a_failure_and_an_interruption(stack: Stack) -> None:
    stack.up()
    stack.up("--expect-no-changes")
    before = stack.outputs()
    assert before == {"said": "works", "token": "hush"}
    assert "hush" not in str(stack.state())

    stack.config({"mode": "fails"})
    failed = stack.up(check=False)
    assert failed.status != 0
    assert "- said" not in failed.text, failed.text
    assert stack.outputs() == before

    assert "- said" not in stack.preview().text
    assert stack.outputs() == before

    stack.config({"mode": "waits"})
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    lines = Lines(child)
    lines.wait_for("it waits")
    os.killpg(child.pid, signal.SIGINT)
    lines.wait_for("^C received")
    (stack.folder / "go").touch()
    assert not lines.shows("- said"), lines.text
    child.wait(60)
    assert stack.outputs() == before
    assert "hush" not in str(stack.state())

    stack.config({"mode": "works again"})
    stack.up()
    assert stack.outputs() == {"said": "works again", "token": "hush"}
    stack.destroy()
