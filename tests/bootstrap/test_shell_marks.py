"""Answers are found in whatever a shell says around them."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.errors import StepFailed
from bootstrap.shell_marks import began, marked, within
from tests.bootstrap.test_ssh import login
from tests.doubles.sshd import running_sshd

pytestmark = pytest.mark.service

MARK = "0123456789abcdef"
NOISE = st.text(max_size=200).filter(lambda text: MARK not in text)


@given(NOISE, NOISE, NOISE)
def test_an_answer_is_found_in_any_noise(before: str, answer: str, after: str) -> None:
    assert within(f"{before}\n{MARK}<{answer}>{MARK}\n{after}", MARK) == answer


@given(NOISE, NOISE)
def test_what_a_command_said_before_it_was_cut_off_is_found(before: str, answer: str) -> None:
    text = f"{before}\n{MARK}<{answer}"

    assert within(text, MARK) == answer
    assert began(text, MARK)
    assert not began(before, MARK)


@pytest.mark.parametrize(
    "command", ["echo 'a\"b'; echo err >&2; exit 3", "exec printf 'a\"b\\n'", 'cat <<E\na"b\nE\ntrue # x']
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_marked_command_is_the_command(command: str, shell: str) -> None:
    plain = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)

    done = subprocess.run([shell, "-c", marked(command, MARK)], capture_output=True, text=True, check=False)

    assert (done.returncode, within(done.stdout, MARK)) == (plain.returncode, plain.stdout)
    assert within(done.stderr, MARK) == plain.stderr


def talking(folder: Path, script: str) -> str:
    """Return sshd's setting for a home whose .bashrc is this script; root's shell must be bash."""
    (folder / ".bashrc").write_text(script)
    return f"SetEnv HOME={folder}\n"


def test_a_shell_that_greets_and_says_goodbye_does_not_spoil_an_answer(tmp_path: Path) -> None:
    settings = talking(tmp_path, "echo '{\"welcome\": 1}'; printf 'warning: \\377' >&2; PATH=/nowhere:$PATH\n")
    with running_sshd(tmp_path, settings) as sshd, contextlib.closing(login(sshd)) as host:
        done = host.run("echo '{}'; echo trouble >&2; exit 4")
        host.put(b"content", str(tmp_path / "file"), 0o600)

        plain = host.run("echo $PATH").stdout

    assert "/nowhere" in plain, "the shell did not read its start-up file, or this test shows nothing"
    assert (done.status, done.stdout, done.stderr) == (4, "{}\n", "trouble\n")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_shell_that_runs_nothing_is_said(tmp_path: Path) -> None:
    settings = talking(tmp_path, "echo 'Please log in as ubuntu.'; exit 0\n")
    with (
        running_sshd(tmp_path, settings) as sshd,
        contextlib.closing(login(sshd)) as host,
        pytest.raises(StepFailed, match=r"ran no command of ours.*Please log in as ubuntu"),
    ):
        host.run("true")
