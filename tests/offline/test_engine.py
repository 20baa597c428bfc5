"""Which engine is used, and what is said where there is none that will do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline import engine, golang
from tools.machine import paths
from tools.machine.steps import SetupError


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def where(tmp_path: Path) -> paths.Paths:
    checkout = tmp_path / "checkout"
    source, module = checkout / "offline" / "language_host", checkout / "offline" / "modules" / "pulumi"
    for folder in (source, module):
        folder.mkdir(parents=True)
    (module / "go.sum").write_text("sums\n")
    (checkout / "requirements.txt").write_text("a==1\n")
    for part in ("language_host.py", "run_program.py", "with_engine.py", "launcher.sh"):
        (source / part).write_text(part)
    plugin = checkout / "offline" / "kubernetes_plugin"
    plugin.mkdir(parents=True)
    (plugin / "__main__.py").write_text("a stand-in\n")
    return paths.find(checkout, {"HOME": str(tmp_path / "home")})


@given(st.tuples(*[st.integers(0, 9999)] * 3), st.sampled_from(["", "-alpha.1+x", "\n"]))
def test_a_version_is_read_back(version, suffix):
    assert golang.parse_version("v" + ".".join(map(str, version)) + suffix) == version


def test_a_text_without_a_version_is_none():
    assert golang.parse_version("command not found") is None


@pytest.mark.parametrize("said", ["v3.258.9", "v2.999.0", "gibberish", ""])
def test_an_old_or_unknown_engine_is_refused_with_its_path_and_the_wanted_version(said):
    with pytest.raises(SetupError, match=r"/opt/pulumi.*3\.259\.0"):
        engine.refuse_old(Path("/opt/pulumi"), said)


@pytest.mark.parametrize("said", ["v3.259.0", "v3.300.1-dev", "v4.0.0"])
def test_a_new_enough_engine_passes(said):
    engine.refuse_old(Path("/opt/pulumi"), said)


def test_the_operators_engine_is_used_and_nothing_is_built(where, tmp_path):
    own = program(tmp_path / "own", "pulumi", "echo v3.260.0")
    environ = {"PATH": str(own.parent)}
    assert engine.own_pulumi(where, environ) == own
    engine.install_engine(where, environ)
    assert not where.engine_bin.exists()


def test_the_operators_old_engine_stops_set_up(where, tmp_path):
    program(tmp_path / "own", "pulumi", "echo v3.100.0")
    with pytest.raises(SetupError, match="later: renew it"):
        engine.install_engine(where, {"PATH": str(tmp_path / "own")})


def test_an_engine_that_set_up_built_is_not_the_operators(where, tmp_path):
    built = program(where.cache / "engine" / "0123" / "bin-4567", "pulumi", "echo v3.259.0")
    own = program(tmp_path / "own", "pulumi", "echo v3.260.0")
    assert engine.own_pulumi(where, {"PATH": str(built.parent)}) is None
    assert engine.own_pulumi(where, {"PATH": f"{built.parent}:{own.parent}"}) == own


def test_a_build_that_fails_leaves_nothing_and_shows_its_last_lines(where, tmp_path):
    program(tmp_path / "go", "go", 'case $1 in env) echo go1.26.8;; *) echo "no space left" >&2; exit 1;; esac')
    with pytest.raises(SetupError, match="no space left"):
        engine.install_engine(where, {"PATH": f"{tmp_path / 'go'}:/usr/bin:/bin"})
    assert list(where.engine_binary.parent.iterdir()) == []


def test_what_a_killed_build_left_is_removed_by_the_next(where, tmp_path):
    where.engine_binary.parent.mkdir(parents=True)
    (where.engine_binary.parent / "pulumi.123").write_text("half")
    program(tmp_path / "go", "go", "case $1 in env) echo go1.26.8;; *) exit 1;; esac")
    with pytest.raises(SetupError):
        engine.install_engine(where, {"PATH": f"{tmp_path / 'go'}:/usr/bin:/bin"})
    assert list(where.engine_binary.parent.iterdir()) == []


def test_a_build_is_laid_out_with_our_host_and_launcher_beside_it(where, tmp_path):
    # A `go` that writes what it was told to build, in place of five minutes of compiling.
    program(
        tmp_path / "go",
        "go",
        'case $1 in env) echo go1.26.8;; *) while [ "$1" != -o ]; do shift; done; echo engine >"$2";; esac',
    )
    engine.install_engine(where, {"PATH": f"{tmp_path / 'go'}:/usr/bin:/bin"})
    names = {file.name for file in where.engine_bin.iterdir()}
    launchers = {"pulumi", "pulumi-language-python", "pulumi-resource-pulumi-python"}
    assert launchers <= names
    assert "pulumi-resource-kubernetes" not in names, "a real stack would get the stand-in"
    assert all((where.engine_bin / name).exists() for name in launchers)
    assert (where.engine_bin / "pulumi").read_text() == "engine\n"
    started = (where.engine_bin / "pulumi-language-python").read_text()
    assert str(where.engine_bin / "language_host.py") in started
    assert str(where.checkout) not in started
    stand_in = where.engine_bin / "plugins" / "offline" / "kubernetes_plugin" / "__main__.py"
    assert stand_in.read_text() == "a stand-in\n"
    assert f"PYTHONPATH={where.engine_bin}/plugins exec" in (where.stand_ins / "pulumi-resource-kubernetes").read_text()


def test_another_stand_in_is_another_folder(where):
    before = where.engine_bin
    (where.checkout / "offline" / "kubernetes_plugin" / "__main__.py").write_text("another\n")

    assert where.engine_bin != before
