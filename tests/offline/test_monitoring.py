"""Prometheus and its like: built once, of pinned modules, and not at all where nobody wants them."""

from pathlib import Path

import pytest

from offline import monitoring
from tools import paths, setup

GO = """#!/bin/sh
case $1 in
    env) echo go1.26.8 ;;
    *) echo "$PWD $*" >>"$HOME/built"; while [ "$1" != -o ]; do shift; done; echo program >"$2" ;;
esac
"""


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    for module in monitoring.PROGRAMS:
        folder = tmp_path / "checkout" / "sandbox" / "services" / "go" / module
        folder.mkdir(parents=True)
        (folder / "go.sum").write_text(f"sums of {module}\n")
    return paths.find(tmp_path / "checkout", {"HOME": str(tmp_path)})


def environ(tmp_path: Path, script: str = GO) -> dict[str, str]:
    (tmp_path / "go").mkdir(exist_ok=True)
    (tmp_path / "go" / "go").write_text(script)
    (tmp_path / "go" / "go").chmod(0o755)
    return {"PATH": f"{tmp_path / 'go'}:/usr/bin:/bin", "HOME": str(tmp_path)}


def test_each_program_is_built_of_its_module_with_its_version_once(where: paths.Paths, tmp_path: Path) -> None:
    monitoring.install_monitoring(where, environ(tmp_path))

    assert sorted(file.name for file in where.monitoring_bin.iterdir()) == sorted(monitoring.NAMES)
    built = (tmp_path / "built").read_text().splitlines()
    assert len(built) == len(monitoring.NAMES)
    assert built[0].startswith(str(where.monitoring_modules / "prometheus"))
    assert "version.Version=3.5.0" in built[0]

    (where.monitoring_bin / "vmagent").unlink()
    monitoring.install_monitoring(where, environ(tmp_path))
    assert len((tmp_path / "built").read_text().splitlines()) == len(built) + 1
    monitoring.install_monitoring(where, {"PATH": "/nowhere"})  # nothing lacks, so nobody asks for Go


def test_another_lock_is_another_folder(where: paths.Paths) -> None:
    before = where.monitoring_bin
    (where.monitoring_modules / "prometheus" / "go.sum").write_text("other sums\n")

    assert where.monitoring_bin != before


def test_who_wants_no_monitoring_builds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[set[str]] = []
    monkeypatch.setattr(setup, "set_up", lambda _where, parts: wanted.append(parts))

    assert setup.main(["--monitoring", "off"]) == 0
    assert setup.main(["--vllm", "real"]) == 0

    assert "monitoring" not in wanted[0]
    assert "monitoring" in wanted[1]


def test_what_only_tests_need_is_brought_for_tests_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[set[str]] = []
    monkeypatch.setattr(setup, "set_up", lambda _where, parts: wanted.append(parts))

    for given in ([], ["--tests", "on"], ["--tests", "on", "--monitoring", "off"]):
        assert setup.main(given) == 0

    of_tests = {"test-venv", "types", "browser"}
    assert [parts & of_tests for parts in wanted] == [set(), of_tests, {"test-venv"}]
