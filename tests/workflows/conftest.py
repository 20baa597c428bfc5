"""What judges and plays workflows; skipped loudly if set-up has not brought it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.artifact_forge import TOKEN, ArtifactForge, artifact_forge
from tests.doubles.workflow_player import REPO, Player
from tools.machine import paths

SECRETS = {
    "GITHUB_TOKEN": TOKEN,
    "GPU_FLEET_REVIEW_MARKET_KEY": "market-key",
    "PULUMI_CONFIG_PASSPHRASE": "the-passphrase",
    "PULUMI_ACCESS_TOKEN": "the-access-token",
    "BACKEND_ACCESS_KEY": "the-access-key",
    "BACKEND_SECRET_KEY": "the-backend-key",
}


def _program(name: str) -> Path:
    file = paths.find(REPO, os.environ).workflows_bin / name
    if not file.is_file():
        pytest.skip(f"no {name} here: `python3 -m tools.setup --parts workflows` builds one")
    return file


@pytest.fixture
def actionlint() -> Path:
    return _program("actionlint")


@pytest.fixture
def forge() -> Iterator[ArtifactForge]:
    with artifact_forge() as made:
        yield made


@pytest.fixture
def player(tmp_path: Path, forge: ArtifactForge) -> Player:
    return Player(tmp_path, _program("act"), SECRETS, forge.url)
