"""Grafana's types for the tests: installed once for each lock, and not missed where there is no npm."""

from pathlib import Path

import pytest

from tools import grafana
from tools.machine import paths

NPM = """#!/bin/sh
echo "$*" >>"$HOME/called"
[ -f package-lock.json ] && mkdir node_modules
"""


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    folder = tmp_path / "checkout" / "tests" / "monitoring" / "grafana_schema"
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_text(name)
    return paths.find(tmp_path / "checkout", {"HOME": str(tmp_path)})


def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "npm").write_text(NPM)
    (tmp_path / "npm").chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}


def test_what_the_lock_pins_is_installed_once(where: paths.Paths, tmp_path: Path) -> None:
    for _ in range(2):
        grafana.install_types(where, environ(tmp_path))

    assert (where.grafana_types / "node_modules").is_dir()
    assert (tmp_path / "called").read_text().splitlines() == ["ci --silent --no-audit --no-fund"]
    before = where.grafana_types
    where.grafana_locks[1].write_text("another lock")
    assert where.grafana_types != before


def test_without_npm_nothing_is_done(where: paths.Paths, tmp_path: Path) -> None:
    grafana.install_types(where, {"PATH": str(tmp_path)})

    assert not where.grafana_types.exists()
