"""Where caches and state lie, and what changes their names."""

import shutil
import subprocess
import sys
from pathlib import Path

from tools.machine import paths


def layout(tmp_path: Path, lock: str = "a==1\n", name: str = "checkout") -> paths.Paths:
    checkout = tmp_path / name
    engine, module = checkout / "offline" / "language_host", checkout / "offline" / "modules" / "pulumi"
    for folder in (engine, module, checkout / "sandbox" / "hosts"):
        folder.mkdir(parents=True)
    (checkout / "requirements.txt").write_text(lock)
    (checkout / "sandbox" / "hosts" / "vllm-cpu.txt").write_text("torch==2\n")
    (module / "go.sum").write_text("sums\n")
    for part in ("language_host.py", "run_program.py", "with_engine.py", "launcher.sh"):
        (engine / part).write_text(part)
    return paths.find(checkout, {"HOME": str(tmp_path / "home")})


def test_xdg_variables_move_cache_and_state(tmp_path):
    found = paths.find(tmp_path, {"HOME": "/h", "XDG_CACHE_HOME": "/c", "XDG_STATE_HOME": "/s"})
    assert (found.cache, found.state) == (Path("/c/gpu-fleet"), Path("/s/gpu-fleet"))


def test_without_them_the_folders_are_the_specifications(tmp_path):
    found = paths.find(tmp_path, {"HOME": "/h"})
    assert (found.cache, found.state) == (Path("/h/.cache/gpu-fleet"), Path("/h/.local/state/gpu-fleet"))


def test_a_relative_xdg_folder_is_ignored(tmp_path):
    assert paths.find(tmp_path, {"HOME": "/h", "XDG_CACHE_HOME": "c"}).cache == Path("/h/.cache/gpu-fleet")


def test_checkouts_with_the_same_locks_share_everything(tmp_path):
    one, two = layout(tmp_path), layout(tmp_path, name="other")
    assert (one.venv, one.vllm, one.engine_bin) == (two.venv, two.vllm, two.engine_bin)


def test_another_lock_is_another_environment_but_the_same_engine_binary(tmp_path):
    one, two = layout(tmp_path), layout(tmp_path, lock="a==2\n", name="other")
    assert one.venv != two.venv
    assert one.engine_bin != two.engine_bin
    assert one.engine_binary == two.engine_binary


def test_an_edited_language_host_gets_its_own_folder(tmp_path):
    one = layout(tmp_path)
    before = one.engine_bin
    one.engine_parts[0].write_text("edited")
    assert one.engine_bin != before
    assert one.engine_bin.parent == before.parent


def test_the_digest_depends_on_the_order_and_the_extra(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("2")
    assert len({paths.digest([a, b]), paths.digest([b, a]), paths.digest([a, b], "x"), paths.digest([a])}) == 4


def test_one_files_digest_is_what_sha256sum_prints(tmp_path):
    (tmp_path / "a").write_text("1")
    printed = subprocess.run(["sha256sum", tmp_path / "a"], check=True, capture_output=True, text=True).stdout
    assert printed.startswith(paths.digest([tmp_path / "a"]))


def test_the_files_of_the_stand_in_plugin_are_all_that_it_imports_of_this_repository(tmp_path):
    checkout = Path(__file__).resolve().parents[2]
    where = paths.find(checkout, {"HOME": str(tmp_path)})
    for file in where.plugins:
        place = tmp_path / "plugins" / file.relative_to(checkout)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)

    alone = {"PYTHONPATH": str(tmp_path / "plugins"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-P", "-c", "import offline.kubernetes_plugin.plugin"]
    subprocess.run(command, check=True, env=alone, cwd=tmp_path)
