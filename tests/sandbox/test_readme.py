"""The commands of sandbox/README.md are ones that the sandbox has, with options and faults that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from sandbox.commands import sandbox
from sandbox.faults import FAULTS

FOLDER = Path(__file__).resolve().parents[2] / "sandbox"
PAGE = (FOLDER / "README.md").read_text()
COMMANDS = re.findall(r"^    python -m sandbox (.+)$", PAGE, re.MULTILINE)


def test_it_shows_each_command():
    assert {command.split()[0] for command in COMMANDS} == set(sandbox.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_takes_it(command):
    name, *words = shlex.split(command)
    context = sandbox.commands[name].make_context(name, words, parent=click.Context(sandbox))
    assert name != "fault" or context.params["name"] in FAULTS


def test_it_names_each_folder():
    folders = {file.parent.name for file in FOLDER.glob("*/*.py")}
    assert [name for name in folders if f"| `{name}/` |" not in PAGE] == []
