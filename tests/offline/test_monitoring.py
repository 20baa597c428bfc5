"""Prometheus and its like: built once, of pinned modules, and not at all where nobody wants them."""

from pathlib import Path

import pytest

from offline import monitoring
from tools import setup
from tools.machine import paths

# It has Prometheus' module in a cache that nobody may write to, and notes what it builds with which plugins.
GO = """#!/bin/sh
case "$1 $2" in
    env*) echo go1.26.8 ;;
    "mod download") echo "{\\"Dir\\": \\"$HOME/cached\\"}" ;;
    "mod edit") echo "$3" >edited ;;
    *) echo "$(cat edited prometheus/plugins/*.go 2>/dev/null | tr '\\n' ' ')$PWD $*" >>"$HOME/built"
       while [ "$1" != -o ]; do shift; done; echo program >"$2" ;;
esac
"""


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    for module in monitoring.PROGRAMS:
        folder = tmp_path / "checkout" / "sandbox" / "services" / "go" / module
        folder.mkdir(parents=True)
        (folder / "go.sum").write_text(f"sums of {module}\n")
        (folder / "go.mod").write_text(f"module {module}\n")
    plugins = tmp_path / "cached" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "plugins.go").write_text("every cloud\n")
    (plugins / "minimum.go").write_text("files and HTTP\n")
    for part in (plugins, plugins.parent):
        part.chmod(0o555)
    return paths.find(tmp_path / "checkout", {"HOME": str(tmp_path)})


def environ(tmp_path: Path, script: str = GO) -> dict[str, str]:
    (tmp_path / "go").mkdir(exist_ok=True)
    (tmp_path / "go" / "go").write_text(script)
    (tmp_path / "go" / "go").chmod(0o755)
    return {"PATH": f"{tmp_path / 'go'}:/usr/bin:/bin", "HOME": str(tmp_path)}


def test_each_program_is_built_of_its_module_with_its_version_once(
    where: paths.Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monitoring.install_monitoring(where, environ(tmp_path))

    assert sorted(file.name for file in where.monitoring_bin.iterdir()) == sorted(monitoring.NAMES)
    built = (tmp_path / "built").read_text().splitlines()
    assert len(built) == len(monitoring.NAMES)
    assert "version.Version=3.5.0" in built[0]
    assert built[1].startswith(str(where.monitoring_modules / "alertmanager"))
    assert "set-up: etcd from source, 6 of 6: " in capsys.readouterr().err

    (where.monitoring_bin / "vmagent").unlink()
    monitoring.install_monitoring(where, environ(tmp_path))
    assert len((tmp_path / "built").read_text().splitlines()) == len(built) + 1
    monitoring.install_monitoring(where, {"PATH": "/nowhere"})  # nothing lacks, so nobody asks for Go


def test_prometheus_is_built_without_the_discovery_of_clouds(where: paths.Paths, tmp_path: Path) -> None:
    monitoring.install_monitoring(where, environ(tmp_path))

    [built] = [line for line in (tmp_path / "built").read_text().splitlines() if "cmd/prometheus" in line]
    assert built.startswith(f"-replace={monitoring.PROMETHEUS}=./prometheus files and HTTP package plugins ")
    assert "-tags grpcnotrace" in built
    assert (tmp_path / "cached" / "plugins" / "plugins.go").read_text() == "every cloud\n"


def test_promtool_is_brought_for_tests_alone(where: paths.Paths, tmp_path: Path) -> None:
    monitoring.install_monitoring(where, environ(tmp_path), monitoring.OF_TESTS)

    assert [file.name for file in where.monitoring_bin.iterdir()] == ["promtool"]
    assert "promtool" not in monitoring.NAMES


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

    of_tests = {"test-venv", "promtool", "types", "browser"}
    assert [parts & of_tests for parts in wanted] == [set(), of_tests, {"test-venv"}]
