"""A command in a shell without the project's environment enters it, or names the command that gives it."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from cli import environment
from cli.errors import CommandError
from cli.main import main
from tests.doubles.pulumi_command import path_with_pulumi
from tools import env
from tools.machine import paths


@pytest.fixture(autouse=True)
def _own_environ(tmp_path: Path) -> Iterator[None]:
    """A shell without Pulumi, and with a state folder of its own; whatever a test enters ends with it."""
    with patch.dict(os.environ, PATH="/usr/bin:/bin", XDG_STATE_HOME=str(tmp_path / "state")):
        os.environ.pop("PULUMI_BACKEND_URL", None)
        yield


@pytest.fixture
def _is_set_up(tmp_path: Path) -> None:
    """Set-up has run: what it leaves is there, without an engine that could be started."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    where = paths.find(env.CHECKOUT, os.environ)
    for folder in (where.venv / "bin", where.engine_bin):
        folder.mkdir(parents=True)
    (where.venv / "complete").touch()
    (where.venv / "bin" / "python").touch()


@pytest.mark.usefixtures("_is_set_up")
def test_a_new_shell_is_told_what_gives_it_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep"]) == 1

    said = capsys.readouterr().err
    assert said.startswith("gpu-fleet sweep: this shell has not the project's environment")
    assert '`eval "$(make -s env)"`' in said


def test_without_set_up_the_command_that_sets_up_is_named(tmp_path: Path) -> None:
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")

    with pytest.raises(CommandError, match="`make setup` brings what is missing"):
        environment.ensure("local")


@pytest.mark.usefixtures("_is_set_up")
def test_the_sandboxs_stack_brings_its_own_environment() -> None:
    environment.ensure("local")

    assert os.environ["PULUMI_CONFIG_PASSPHRASE"] == env.SANDBOX_PASSPHRASE
    assert os.environ["PULUMI_BACKEND_URL"].startswith("file://")


@pytest.mark.usefixtures("_is_set_up")
def test_a_real_stack_gets_nothing_of_the_sandboxs() -> None:
    environment.ensure("dev")

    assert "PULUMI_CONFIG_PASSPHRASE" not in os.environ
    assert "PULUMI_BACKEND_URL" not in os.environ


def test_a_shell_with_pulumi_stays_as_it_is(tmp_path: Path) -> None:
    os.environ["PATH"] = path_with_pulumi(tmp_path / "bin", {})
    before = dict(os.environ)

    environment.ensure("dev")
    environment.ensure(None)

    assert dict(os.environ) == before
