"""A real engine for tests, as fixtures; skipped loudly where none can be had."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.pulumi_stack import Engine, environment, path_with_engine


@pytest.fixture(scope="session")
def pulumi_on_path() -> str:
    """PATH with an engine on it; skips loudly where there is none."""
    path = path_with_engine(os.environ)
    if path is None:
        pytest.skip("no Pulumi engine here: `make setup` brings one")
    return path


@pytest.fixture
def engine(pulumi_on_path: str, tmp_path: Path) -> Iterator[Engine]:
    """An engine whose home, backend, cache of plugins and programs are this test's own."""
    made = Engine(tmp_path, environment(tmp_path, pulumi_on_path))
    yield made
    made.close()
