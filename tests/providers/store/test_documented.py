"""docs/weights.md, followed: a gated model from the hub into the checkout, committed, and read again from its folder."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.doubles.documented import MANIFESTS, REPO, commands_of, played_by
from tests.doubles.hub import SHA, FakeHub, running_hub
from tests.doubles.model_folder import make_model
from tests.doubles.terminal import Terminal
from weights.manifest import Manifest

MODEL, TOKEN = "meta-llama/Llama-3.1-8B-Instruct", "hf_" + "s" * 34


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in a checkout of its own, whose editor writes a commit's message."""
    checkout = tmp_path / "checkout"
    (checkout / "models").mkdir(parents=True)
    (checkout / ".gitignore").write_bytes((REPO / ".gitignore").read_bytes())
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "A model" > "$1"\n')
    editor.chmod(0o755)
    who = {f"GIT_{role}_{what}": "me@example.net" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{REPO / '.venv' / 'bin'}:{os.environ['PATH']}"
    env = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "GIT_EDITOR": str(editor), "PATH": path}
    return Terminal(checkout, {**env, **who}, tmp_path / "kept.sh")


def test_a_model_comes_from_the_hub_into_a_commit(terminal: Terminal, tmp_path: Path) -> None:
    original = make_model(tmp_path / "original")
    contents = {path.name: path.read_bytes() for path in original.iterdir()}
    mine = played_by(MANIFESTS)
    with running_hub(FakeHub(MODEL, contents, gated=True, token=TOKEN)) as hub:
        terminal.run(f"export HF_ENDPOINT={hub.url}")
        for command in [one for one in commands_of("docs/weights.md") if one in mine]:
            gated = "--from-hub" in command
            terminal.type(command, put={"HF_TOKEN=...": f"HF_TOKEN={TOKEN}", "SHA": SHA} if gated else {})

    listed = terminal.run("git show --stat --format=%s HEAD")
    assert "A model" in listed
    assert "models/llama-3.1-8b.json" in listed
    assert "??" not in terminal.run("git status --porcelain models"), "the folder lies in git"
    committed = Manifest.from_json(terminal.run("git show HEAD:models/llama-3.1-8b.json"))
    again = Manifest.from_json(terminal.run("cat models/llama-3.1-8b.json"))
    assert committed.digest == again.digest
    assert TOKEN not in terminal.printed.replace(f"HF_TOKEN={TOKEN}", "")
    assert terminal.typed == mine
