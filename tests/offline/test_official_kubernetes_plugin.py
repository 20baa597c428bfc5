"""Pulumi's own kubernetes plugin: built once, on request only, and taken by the engine from then on."""

import subprocess
from pathlib import Path

import pytest

from offline import engine, official_kubernetes_plugin
from tools import setup
from tools.machine import paths

GO = """#!/bin/sh
case $1 in
    env) echo go1.26.8 ;;
    mod) echo "{\\"Dir\\": \\"$HOME/module\\"}" ;;
    *) cat schema.json main.go go.sum >>"$HOME/built"; while [ "$1" != -o ]; do shift; done
       printf '#!/bin/sh\\necho official "$@"\\n' >"$2"; chmod +x "$2" ;;
esac
"""


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    found = paths.find(tmp_path / "checkout", {"HOME": str(tmp_path)})
    module = found.checkout / "offline" / "modules" / "kubernetes_plugin"
    pinned = [module / name for name in ("go.mod", "go.sum", "main.go")]
    for file in (*found.engine_parts, *pinned, found.engine_module / "go.sum", found.checkout / "requirements.txt"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.name}\n")
    return found


def environ(tmp_path: Path) -> dict[str, str]:
    schema = tmp_path / "module" / official_kubernetes_plugin.SCHEMA
    schema.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text("schema\n")
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}


def test_it_is_built_once_of_what_is_pinned_and_takes_the_stand_ins_place(where: paths.Paths, tmp_path: Path) -> None:
    where.engine_binary.parent.mkdir(parents=True)
    where.engine_binary.write_text("engine\n")
    engine.lay_beside(where)

    for _ in range(2):
        official_kubernetes_plugin.install_plugin(where, environ(tmp_path))

    assert (tmp_path / "built").read_text() == "schema\nmain.go\ngo.sum\n"
    launcher = where.stand_ins / "pulumi-resource-kubernetes"
    done = subprocess.run([launcher, "127.0.0.1:1"], capture_output=True, text=True, check=True)
    assert done.stdout == "official 127.0.0.1:1\n"


def test_nobody_gets_it_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[set[str]] = []
    monkeypatch.setattr(setup, "set_up", lambda _where, parts: wanted.append(parts))

    assert setup.main(["--vllm", "real", "--tests", "on"]) == 0
    assert setup.main(["--parts", "kubernetes-plugin"]) == 0

    assert "kubernetes-plugin" not in wanted[0]
    assert wanted[1] == {"kubernetes-plugin"}
