"""The command that set-up writes into the environment: it is of the checkout in which, or through which, it is called."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.environments import install_command
from tools.machine import paths

PROJECT = '[project.scripts]\ntry-it = "place.words:say"\n'
WORDS = "import sys\n\ndef say():\n    print(__file__, sys.argv[1:])\n    return 3\n"


def checkout(folder: Path, environment: Path) -> paths.Paths:
    """A checkout with a command of its own, and a link to an environment that others share."""
    (folder / "place").mkdir(parents=True)
    (folder / "place" / "__init__.py").touch()
    (folder / "place" / "words.py").write_text(WORDS)
    (folder / "Pulumi.yaml").touch()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "requirements.txt").touch()
    (folder / ".venv").symlink_to(environment)
    return paths.Paths(folder, folder.parent / "cache", folder.parent / "state")


@pytest.fixture
def two(tmp_path: Path) -> list[paths.Paths]:
    environment = checkout(tmp_path / "a", tmp_path / "environment").venv
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "environment").symlink_to(environment)
    made = [
        paths.Paths(tmp_path / "a", tmp_path / "cache", tmp_path / "state"),
        checkout(tmp_path / "b", environment),
    ]
    for one in made:
        install_command(one)
    return made


def called(command: Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([command, "a", "b"], cwd=cwd, capture_output=True, text=True, check=False)


def test_it_is_of_the_checkout_in_which_it_is_called(two: list[paths.Paths]) -> None:
    first, second = two
    below = second.checkout / "deep" / "er"
    below.mkdir(parents=True)

    done = called(first.checkout / ".venv" / "bin" / "try-it", below)

    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == f"{second.checkout / 'place' / 'words.py'} ['a', 'b']\n"


def test_elsewhere_it_is_of_the_checkout_through_which_it_is_called(two: list[paths.Paths], tmp_path: Path) -> None:
    for one in two:
        done = called(one.checkout / ".venv" / "bin" / "try-it", tmp_path)
        assert done.stdout.startswith(str(one.checkout / "place"))


def test_without_any_checkout_it_says_where_to_call_it(two: list[paths.Paths], tmp_path: Path) -> None:
    done = called(two[0].venv / "bin" / "try-it", tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("try-it: neither this folder nor any above it is a checkout")


def test_it_is_written_once(two: list[paths.Paths]) -> None:
    file = two[0].venv / "bin" / "try-it"
    before = file.stat().st_mtime_ns, file.stat().st_ino

    install_command(two[0])

    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
