import os
import tarfile
from pathlib import Path

import pytest

from bootstrap.kit import KitError, build_kit, installed_programs
from weights.manifest import mismatches

ELF = b"\x7fELF\x02" + bytes(13) + b"\x3e\x00" + b"program"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(ELF)
    return path


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    (folder / "gate").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    for name in ("gate/run", "agent.py", "__pycache__/agent.pyc", ".hidden"):
        (folder / name).write_text(name)
    (folder / "gate" / "run").chmod(0o755)
    return folder


def members(folder: Path) -> dict[str, tuple[int, float, int, int]]:
    with tarfile.open(folder / "kit.tar") as tar:
        return {entry.name: (entry.mode, entry.mtime, entry.uid, entry.gid) for entry in tar}


def test_the_kit_is_programs_and_scripts_with_nothing_of_this_machine_in_it(tmp_path, program, scripts):
    build_kit(tmp_path / "kit", {"caddy": program}, scripts)
    assert members(tmp_path / "kit") == {
        "agent.py": (0o644, 0, 0, 0),
        "bin/caddy": (0o755, 0, 0, 0),
        "gate/run": (0o755, 0, 0, 0),
    }


def test_what_reports_comes_along_below_lib(tmp_path, program, scripts):
    build_kit(tmp_path / "kit", {"vmagent": program}, scripts, {"monitoring/agent/state.py": scripts / "agent.py"})
    found = members(tmp_path / "kit")
    assert found["lib/monitoring/agent/state.py"] == (0o644, 0, 0, 0)
    assert found["bin/vmagent"] == (0o755, 0, 0, 0)


def test_equal_inputs_give_equal_bytes_whatever_their_age_and_umask(tmp_path, program, scripts):
    first = build_kit(tmp_path / "one", {"caddy": program}, scripts)
    os.utime(scripts / "agent.py", (1, 1))
    (scripts / "agent.py").chmod(0o600)
    assert build_kit(tmp_path / "two", {"caddy": program}, scripts) == first
    assert build_kit(tmp_path / "one", {"caddy": program}, scripts) == first


@pytest.mark.parametrize("change", ["content", "mode", "name", "program"])
def test_any_change_gives_another_digest(tmp_path, program, scripts, change):
    before = build_kit(tmp_path / "kit", {"caddy": program}, scripts)
    if change == "content":
        (scripts / "agent.py").write_text("other")
    elif change == "mode":
        (scripts / "agent.py").chmod(0o755)
    elif change == "name":
        (scripts / "agent.py").rename(scripts / "other.py")
    else:
        program.write_bytes(ELF + b"!")
    assert build_kit(tmp_path / "kit", {"caddy": program}, scripts).digest != before.digest


def test_the_manifest_describes_the_one_file(tmp_path, program, scripts):
    manifest = build_kit(tmp_path / "kit", {"caddy": program}, scripts)
    assert (manifest.name, [file.path for file in manifest.files]) == ("kit", ["kit.tar"])
    assert mismatches(manifest, tmp_path / "kit") == []


def test_the_real_kit_is_built_from_what_is_installed(tmp_path):
    build_kit(tmp_path)
    assert {"bin/caddy", "bin/runsvdir", "bin/runsv", "bin/sv", "bin/chpst"} <= members(tmp_path).keys()


def test_a_missing_supervisor_names_the_package(tmp_path):
    with pytest.raises(KitError, match=r"apt-get install .*runit"):
        installed_programs(str(tmp_path))


def test_a_program_of_another_kind_of_machine_is_refused(tmp_path, program, scripts):
    program.write_bytes(ELF[:18] + b"\xb7\x00")  # the machine number of ARM
    with pytest.raises(KitError, match="x86-64"):
        build_kit(tmp_path / "kit", {"caddy": program}, scripts)
    assert list((tmp_path / "kit").glob("*") if (tmp_path / "kit").exists() else []) == []


def test_a_link_among_the_scripts_is_refused(tmp_path, program, scripts):
    (scripts / "link").symlink_to("/etc/passwd")
    with pytest.raises(KitError, match="not a plain file"):
        build_kit(tmp_path / "kit", {"caddy": program}, scripts)


def test_a_script_may_not_take_the_place_of_a_program(tmp_path, program, scripts):
    (scripts / "bin").mkdir()
    (scripts / "bin" / "caddy").write_text("x")
    with pytest.raises(KitError, match="take the place"):
        build_kit(tmp_path / "kit", {"caddy": program}, scripts)


def test_a_stray_file_in_the_kits_folder_is_said(tmp_path, program, scripts):
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "stray").write_text("x")
    with pytest.raises(KitError, match=r"holds more than kit\.tar"):
        build_kit(tmp_path / "kit", {"caddy": program}, scripts)
