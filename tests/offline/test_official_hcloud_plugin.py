"""Pulumi's hcloud plugin: built once, on request only, around the schema that it writes itself."""

from pathlib import Path

import pytest

from offline import official_hcloud_plugin
from tools import setup
from tools.machine import paths

GO = """#!/bin/sh
case $1 in env) echo go1.26.8; exit ;; list) exit ;; esac
cat schema.json bridge-metadata.json >>"$HOME/built"; while [ "$1" != -o ]; do shift; done
cat >"$2" <<'END'
#!/bin/sh
mkdir -p generated
for made in schema bridge-metadata; do echo "$1 $made" >generated/$made.json; done
END
chmod +x "$2"
"""


def test_it_is_built_once_around_its_own_schema(tmp_path: Path) -> None:
    where = paths.find(tmp_path / "checkout", {"HOME": str(tmp_path)})
    module = where.checkout / "offline" / "modules" / "hcloud_plugin"
    module.mkdir(parents=True)
    for name in ("go.mod", "go.sum", "main.go"):
        (module / name).write_text(f"{name}\n")
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)

    for _ in range(2):
        official_hcloud_plugin.install_plugin(where, {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)})

    assert (tmp_path / "built").read_text() == "{}{}schema schema\nschema bridge-metadata\n"
    assert where.hcloud_plugin.is_file()


def test_it_is_brought_on_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[set[str]] = []
    monkeypatch.setattr(setup, "set_up", lambda _where, parts: wanted.append(parts))

    assert setup.main(["--vllm", "real", "--tests", "on"]) == 0
    assert setup.main(["--parts", "hcloud-plugin"]) == 0

    assert "hcloud-plugin" not in wanted[0]
    assert wanted[1] == {"hcloud-plugin"}
