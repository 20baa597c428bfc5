"""How a program's end becomes an exit status and a message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from offline.language_host import run_program


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (3, 3)])
def test_exit_statuses_pass_through(code, status):
    assert run_program.exit_status(SystemExit(code)) == status


def test_a_text_is_shown_and_means_failure():
    shown: list[str] = []
    assert run_program.exit_status(SystemExit("no key"), shown.append) == run_program.MESSAGE_SHOWN
    assert shown == ["no key"]


def test_a_traceback_begins_with_the_programs_first_frame(tmp_path):
    program = tmp_path / "__main__.py"
    program.write_text("def inner():\n    raise KeyError('lost')\n\n\ninner()\n")
    with pytest.raises(KeyError) as caught:
        exec(compile(program.read_text(), str(program), "exec"), {})
    text = run_program.traceback_of(caught.value, str(tmp_path))
    assert "in inner" in text
    assert text.rstrip().endswith("KeyError: 'lost'")
    assert Path(__file__).name not in text


def test_a_traceback_without_a_frame_of_the_program_stays_whole(tmp_path):
    with pytest.raises(ZeroDivisionError) as caught:
        int(1 / 0)
    assert Path(__file__).name in run_program.traceback_of(caught.value, str(tmp_path))


def test_python_and_packages_are_not_the_program(tmp_path):
    assert run_program.is_own(tmp_path / "a" / "b.py", tmp_path)
    assert not run_program.is_own(Path("<frozen runpy>"), tmp_path)
    assert not run_program.is_own(tmp_path / ".venv" / "lib" / "site-packages" / "x.py", tmp_path)
    assert not run_program.is_own(Path("/usr/lib/python3/json.py"), tmp_path)


def test_a_program_whose_host_was_killed_while_it_started_does_not_begin(tmp_path):
    order = {"host": os.getppid(), "program": str(tmp_path / "never.py")}  # not the process that starts it
    environment = os.environ | {"GPU_FLEET_RUN": json.dumps(order)}
    done = subprocess.run(
        [sys.executable, run_program.__file__],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
