"""The command line as a whole: every command explains itself, mistakes get one sentence, older names stay."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.main import COMMANDS, main, root

REPO = Path(__file__).resolve().parents[2]


def run(*words: str, env: dict[str, str] | None = None, cwd: Path = REPO) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(REPO)} | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_there_under_its_name_and_explains_its_options(name: str) -> None:
    found = root.get_command(click.Context(root), name)

    assert found is not None
    assert found.name == name
    assert found.get_short_help_str()
    told = CliRunner().invoke(root, [name, "--help"])
    assert told.exit_code == 0, told.output
    options = [parameter for parameter in found.params if isinstance(parameter, click.Option)]
    assert [one.name for one in options if not one.help and not str(one.name).endswith("_port")] == []


def test_the_list_of_commands_has_a_line_for_each() -> None:
    told = CliRunner().invoke(root, ["--help"]).output

    assert [name for name in COMMANDS if f"\n  {name} " not in told] == []


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = (
        "import sys; from cli.main import main; main(['--help']); print('httpx' in sys.modules, 'boto3' in sys.modules)"
    )

    assert run("-c", code).stdout.splitlines()[-1] == "False False"


def test_a_word_that_is_no_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweeep"]) == 2
    assert "No such command 'sweeep'" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_GPU_FLEET_COMPLETE" in capsys.readouterr().out


def test_a_shell_completes_commands_stacks_and_faults(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").touch()

    def completed(*words: str) -> str:
        told = {
            "_GPU_FLEET_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        return run("-m", "cli", env=told, cwd=tmp_path).stdout

    assert "plain,sweep" in completed("gpu-fleet", "sw")
    assert completed("gpu-fleet", "sweep", "--stack", "d") == "plain,dev\n"
    assert "plain,offer-taken" in completed("gpu-fleet", "fault", "offer-t")


@pytest.mark.parametrize(
    ("module", "words", "says"),
    [
        ("providers.vast", ["sweep", "--help"], "Usage: gpu-fleet sweep"),
        ("providers.store.manifest", ["--help"], "Usage: gpu-fleet manifest"),
        ("monitoring.exporter", ["--help"], "usage: python -m monitoring.exporter"),
        ("sandbox", ["--help"], "Usage: python -m sandbox"),
        ("monitoring.door", ["--help"], "usage: python -m monitoring.receiver"),
    ],
)
def test_older_names_are_the_same_commands(module: str, words: list[str], says: str) -> None:
    done = run("-m", module, *words)

    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_a_python_without_the_packages_is_sent_to_set_up() -> None:
    done = run("-S", "-m", "cli", "sweep", env={"PYTHONNOUSERSITE": "1"})

    assert (done.returncode, done.stdout) == (1, "")
    assert "has no package click. `make setup` makes the project's environment" in done.stderr
    assert "Traceback" not in done.stderr
