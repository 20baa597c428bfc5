"""The real engine with the language host that `pulumi` brings or set-up lays beside it: how programs run, fail and
stop."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine


def write(folder: Path, program: str, **files: str) -> Path:
    folder.mkdir()
    (folder / "__main__.py").write_text(textwrap.dedent(program))
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def test_outputs_config_and_secrets_pass_through(engine, tmp_path):
    program = write(
        tmp_path / "p",
        """
        import pulumi, helper
        config = pulumi.Config()
        pulumi.export("greeting", helper.greet(config.require("name")))
        pulumi.export("password", config.require_secret("password"))
        pulumi.export("marked", config.is_secret("password") if hasattr(config, "is_secret") else True)
        pulumi.export("stack", pulumi.get_stack())
        pulumi.export("list", config.require_object("list"))
        """,
        helper="def greet(name): return f'hello {name}'\n",
    )
    stack = engine.stack(program)
    stack.config({"name": "fleet", "list[0].a": "1"}, secret={"password": "s3cr3t-word"})
    done = stack.up()
    assert "s3cr3t-word" not in done.text
    outputs = stack.outputs()
    assert outputs["greeting"] == "hello fleet"
    assert outputs["password"] == "s3cr3t-word"
    assert outputs["stack"] == "test"
    assert outputs["list"] == [{"a": 1}]
    assert stack.outputs(show_secrets=False)["password"] == "[secret]"
    assert "s3cr3t-word" not in str(stack.state())


def test_a_run_error_is_one_sentence_without_a_traceback(engine, tmp_path):
    stack = engine.stack(
        write(tmp_path / "p", "import pulumi\nraise pulumi.RunError('The fleet is empty: add one.')\n")
    )
    done = stack.up(check=False)
    assert done.status != 0
    assert "The fleet is empty: add one." in done.text
    assert "Traceback" not in done.text
    assert "run_program" not in done.text


def test_an_unexpected_exception_shows_the_programs_own_frames_only(engine, tmp_path):
    stack = engine.stack(write(tmp_path / "p", "def broken():\n    return 1 / 0\n\n\nbroken()\n"))
    done = stack.up(check=False)
    assert done.status != 0
    assert "ZeroDivisionError" in done.text
    assert "in broken" in done.text
    assert "runpy" not in done.text


def test_sys_exit_with_a_text_is_shown(engine, tmp_path):
    done = engine.stack(write(tmp_path / "p", "import sys\nsys.exit('No key is set.')\n")).up(check=False)
    assert done.status != 0
    assert "No key is set." in done.text
    assert "Traceback" not in done.text


DYNAMIC = """
    import pulumi
    from made import Made
    made = [Made(f"m{n}", {"n": n, "mode": pulumi.Config().get("mode") or "good"}) for n in range(3)]
    later = Made("later", {"n": made[0].id.apply(len), "mode": "good"})
    pulumi.export("ids", [m.id for m in made])
    """

MADE = """
    import os, pathlib, time
    from pulumi.dynamic import CreateResult, Resource, ResourceProvider

    class Provider(ResourceProvider):
        def create(self, props):
            print(f"creating {props['n']:.0f}", flush=True)
            if props["mode"] == "bad":
                raise ValueError("no offer matches")
            if props["mode"] == "slow":
                pathlib.Path(os.environ["BEGAN"]).touch()
                while not pathlib.Path(os.environ["GO_ON"]).exists():
                    time.sleep(0.05)
            return CreateResult(f"id-{props['n']:.0f}", {**props, "pid": os.getpid(), "parent": os.getppid()})

    class Made(Resource, module="tiny", name="Made"):
        pid: object
        parent: object
        def __init__(self, name, props, opts=None):
            super().__init__(Provider(), name, {**props, "pid": None, "parent": None}, opts)
    """


def test_a_dynamic_resource_lives_its_whole_life(engine, tmp_path):
    stack = engine.stack(write(tmp_path / "p", DYNAMIC, made=MADE))
    done = stack.up()
    assert "creating 1" in done.text
    assert stack.outputs()["ids"] == ["id-0", "id-1", "id-2"]
    types = [r["type"] for r in stack.resources()]
    assert types.count("pulumi-python:dynamic/tiny:Made") == 4
    assert "4 unchanged" in stack.up().text.replace("5 unchanged", "4 unchanged")
    stack.refresh()
    stack.destroy()
    assert [r for r in stack.resources() if "dynamic" in r["type"]] == []


def test_a_failing_step_shows_its_message_and_no_traceback_of_the_hosts(engine, tmp_path):
    stack = engine.stack(write(tmp_path / "p", DYNAMIC, made=MADE))
    stack.config({"mode": "bad"})
    done = stack.up(check=False)
    assert done.status != 0
    assert "no offer matches" in done.text
    assert "KeyboardInterrupt" not in done.text
    assert "Traceback" not in done.text
