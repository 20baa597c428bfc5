"""What judges and runs workflows is built once, of pinned modules."""

from pathlib import Path

import pytest

from offline import workflows
from tools.machine import paths

GO = """#!/bin/sh
case "$1" in
    env) echo go1.26.8 ;;
    *) echo "$PWD $*" >>"$HOME/built"
       while [ "$1" != -o ]; do shift; done; echo program >"$2" ;;
esac
"""


def test_each_program_is_built_of_its_module_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = paths.find(tmp_path / "checkout", {"HOME": str(tmp_path)})
    for name in workflows.PROGRAMS:
        module = where.workflows_modules / name
        module.mkdir(parents=True)
        (module / "go.sum").write_text(f"sums of {name}\n")
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}

    for _ in range(2):
        workflows.install_workflow_tools(where, environ)

    built = (tmp_path / "built").read_text().splitlines()
    assert [line.split(" ", 1)[0] for line in built] == [
        str(where.workflows_modules / name) for name in workflows.PROGRAMS
    ]
    assert "actionlint.version=1.7.12" in built[0]
    assert " -X " not in built[1]
    assert sorted(file.name for file in where.workflows_bin.iterdir()) == ["act", "actionlint"]
    assert "set-up: act from source" in capsys.readouterr().err
