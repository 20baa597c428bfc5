"""The rules of set-up's steps: sentences for failures, one set-up at a time, resumable environments."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools import environments, packages, setup
from tools.machine import paths
from tools.machine.steps import SetupError, alone, complete, mark_complete, refuse_full_disk, run

pytestmark = pytest.mark.service


def test_a_failed_command_is_a_sentence_with_its_last_lines():
    with pytest.raises(SetupError, match=r"Counting failed with exit status 3.*\n(.*\n)*the end") as caught:
        run(["sh", "-c", "for i in $(seq 50); do echo line $i; done; echo the end; exit 3"], "Counting")
    assert "line 2\n" not in str(caught.value)


def test_a_missing_program_is_a_sentence():
    with pytest.raises(SetupError, match="Juggling cannot start"):
        run(["/nonexistent/juggle"], "Juggling")


def test_a_full_disk_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(SetupError, match=r"needs about 1000000000\.0 GB .* XDG_CACHE_HOME"):
        refuse_full_disk(tmp_path / "not" / "there", 10**18, "Everything")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_with_room_is_not(tmp_path):
    refuse_full_disk(tmp_path, 0, "Nothing")


def test_the_second_set_up_waits_for_the_first(tmp_path, capfd):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    entered = threading.Event()

    def second() -> None:
        with alone(tmp_path):
            entered.set()

    waiting = threading.Thread(target=second, daemon=True)
    waiting.start()
    assert not entered.wait(0.2)
    first.communicate("\n", timeout=30)
    waiting.join(30)
    assert entered.is_set()
    assert "waiting for another set-up" in capfd.readouterr().err


HOLDER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from pathlib import Path
from tools.machine.steps import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_an_environment_counts_only_when_it_was_finished_and_its_python_is_there(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert not complete(tmp_path)
    mark_complete(tmp_path)
    assert complete(tmp_path)
    (tmp_path / "bin" / "python").unlink()
    (tmp_path / "bin" / "python").symlink_to("/nonexistent/python")
    assert not complete(tmp_path)


def test_what_an_interrupted_set_up_left_is_made_again(tmp_path):
    folder = tmp_path / "venv"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "half").touch()
    environments.fresh_venv(folder)
    assert not (folder / "lib" / "half").exists()
    assert (folder / "bin" / "python").exists()


def test_the_link_moves_from_one_environment_to_the_next(tmp_path):
    name = tmp_path / ".venv"
    for target in (tmp_path / "a", tmp_path / "b", tmp_path / "b"):
        environments.link(name, target)
        assert name.readlink() == target
    assert [file.name for file in tmp_path.iterdir()] == [".venv"]


def test_a_real_folder_in_the_links_place_stays(tmp_path):
    name = tmp_path / ".venv"
    name.mkdir()
    with pytest.raises(SetupError, match="move it away"):
        environments.link(name, tmp_path / "a")
    assert name.is_dir()


def test_the_packages_that_are_missing_are_named_once_and_sorted():
    assert packages.missing(lambda program: None) == ["openssh-server", "runit"]
    assert packages.missing(lambda program: f"/bin/{program}") == []
    assert packages.missing(lambda program: "/bin/sshd" if program == "sshd" else None) == ["runit"]


def test_the_room_needed_is_that_of_what_is_missing(tmp_path):
    checkout = Path(__file__).resolve().parents[2]
    where = paths.find(checkout, {"HOME": str(tmp_path)})
    without = setup.missing_bytes(where, {"venv"})
    assert without == environments.VENV_BYTES
    assert setup.missing_bytes(where, {"venv", "vllm"}) == without + environments.VLLM_BYTES
    (where.venv / "bin").mkdir(parents=True)
    (where.venv / "bin" / "python").symlink_to(sys.executable)
    mark_complete(where.venv)
    assert setup.missing_bytes(where, {"venv"}) == 0


def test_a_part_that_is_not_wanted_needs_none_of_its_files(tmp_path):
    checkout = Path(__file__).resolve().parents[2]
    (tmp_path / "checkout").mkdir()
    for name in ("requirements.txt", "requirements-test.txt", "pyproject.toml"):
        (tmp_path / "checkout" / name).symlink_to(checkout / name)
    where = paths.find(tmp_path / "checkout", {"HOME": str(tmp_path)})
    assert setup.missing_bytes(where, {"venv"}) == environments.VENV_BYTES


def test_an_unknown_part_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        setup.main(["--parts", "venv,engines"])
    assert "engines" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("sh"), reason="no POSIX shell")
def test_the_launcher_says_where_the_environment_is_missing(tmp_path):
    launcher = Path(__file__).resolve().parents[2] / "offline" / "language_host" / "launcher.sh"
    done = subprocess.run(
        ["sh", launcher, "127.0.0.1:1"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PULUMI_RUNTIME_VIRTUALENV": ".venv"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{tmp_path}/.venv/bin/python" in done.stderr


def test_a_model_is_made_again_when_a_byte_of_it_differs(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    manifest = {"files": [{"path": "config.json", "sha256": hashlib.sha256(b"{}").hexdigest()}]}
    assert setup.whole(tmp_path, manifest)
    (tmp_path / "config.json").write_text("{ }")
    assert not setup.whole(tmp_path, manifest)
    assert not setup.whole(tmp_path / "elsewhere", manifest)
