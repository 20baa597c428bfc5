"""The sandbox's committed stack file and the commands of `make up` and `make down`, on the real engine."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cli import sandbox_stack
from cli.down import go_down
from cli.up import go_up
from tools import env

pytestmark = pytest.mark.engine

REPO = Path(__file__).resolve().parents[2]


class EngineOnly(sandbox_stack.Shell):
    """Runs what is Pulumi's and leaves the sandbox out."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self.environ = environ

    def call(self, *words: str) -> None:
        if words[0] == "pulumi" and words[1] != "up":
            self.output(*words)

    def leave_out_cluster(self) -> None:
        """These stacks have none."""

    def quiet(self, *words: str) -> None:
        self.call(*words)

    def engine(self, *words: str) -> None:
        self.call("pulumi", *words)

    def output(self, *words: str) -> str:
        if words == sandbox_stack.STATUS:
            return json.dumps({"market": None})
        return subprocess.run(
            words, cwd=self.folder, env=self.environ, check=True, capture_output=True, text=True
        ).stdout


def test_up_and_down_leave_the_committed_stack_file_as_it_is(engine, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.local.yaml"):
        if not (REPO / name).is_file():
            pytest.skip(f"{name} is not written yet")
        shutil.copy(REPO / name, folder / name)
    committed = (folder / "Pulumi.local.yaml").read_bytes()
    assert b"encryptionsalt:" in committed, "without a committed salt `make up` writes one into the checkout"
    (folder / ".venv").symlink_to(REPO / ".venv")
    shell = EngineOnly(folder, engine.env | {"PULUMI_CONFIG_PASSPHRASE": env.SANDBOX_PASSPHRASE})
    go_up(shell, "double", "off")
    assert list(sandbox_stack.stacks(shell)) == ["local"]
    assert (folder / "Pulumi.local.yaml").read_bytes() == committed
    go_down(shell)
    assert not sandbox_stack.stacks(shell)
    assert (folder / "Pulumi.local.yaml").read_bytes() == committed
