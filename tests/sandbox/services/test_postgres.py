"""The sandbox's PostgreSQL: the real server, as root and as an ordinary user, whose end is its holder's end."""

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from sandbox.services.child import ServiceError
from sandbox.services.postgres import LONGEST_SOCKET, Postgres

pytestmark = pytest.mark.service

HOLDER = """
import sys, time
from pathlib import Path
from sandbox.services.postgres import Postgres
server = Postgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def ask(dsn: str, query: str) -> list[tuple]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of live processes that name the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words and words.startswith(("/", "postgres")):
            found.append(words)
    return found


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while processes_of(folder):
        assert time.monotonic() < deadline, processes_of(folder)


def test_it_starts_within_seconds_and_keeps_its_data_until_it_is_removed(tmp_path: Path) -> None:
    home = tmp_path / "pg"
    server = Postgres(home)
    server.start()
    ask(server.dsn, "create table kept (n int)")
    assert ask(server.dsn, "show listen_addresses") == [("",)]
    assert home.stat().st_mode & 0o077 == 0
    with pytest.raises(ServiceError, match="running already"):
        server.start()
    server.stop()
    server.stop()
    wait_until_gone(home)
    with Postgres(home) as again:
        assert ask(again.dsn, "select count(*) from kept") == [(0,)]
    server.remove()
    assert not home.exists()


def test_a_stop_waits_for_no_connection(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg") as server:
        connection = psycopg.connect(server.dsn)
        connection.execute("select 1")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 4
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")


def test_its_processes_hold_no_capability_(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg") as server:
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status


def test_a_kill_of_its_holder_ends_it_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    home = tmp_path / "pg"
    for turn in range(3):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path.cwd(),
        )
        try:
            assert holder.stdout is not None
            assert int(holder.stdout.readline()) > 0
            dsn = Postgres(home).dsn
            assert ask(dsn, "select count(*) from pg_tables where tablename like 'kept%'") == [(turn,)]
            ask(dsn, f"create table kept{turn} (n int)")
        finally:
            holder.kill()
            holder.communicate()
        if turn:
            wait_until_gone(home)  # at the first turn the next start meets what is about to end


def test_an_ordinary_user_runs_it_as_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "pg")]
    if os.geteuid() == 0:  # as another user's number, which reaches this interpreter all the same
        number = next(account.pw_uid for account in pwd.getpwall() if account.pw_uid)
        command = ["unshare", "--user", f"--map-user={number}", f"--map-group={number}", "--", *command]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    try:
        assert holder.stdout is not None
        server = int(holder.stdout.readline())
        mine, its = (Path(f"/proc/{pid}/ns/user").readlink() for pid in (holder.pid, server))
        assert mine == its
    finally:
        holder.communicate("")
    wait_until_gone(tmp_path)


def test_a_start_ends_the_server_that_a_sandbox_left_over(tmp_path: Path) -> None:
    home = tmp_path / "pg"
    with Postgres(home) as first:
        ask(first.dsn, "create table kept (n int)")
        left = first.pid
        with Postgres(home) as second:
            assert second.pid != left
            assert ask(second.dsn, "select count(*) from kept") == [(0,)]


def test_the_number_of_another_process_in_its_files_stops_no_start(tmp_path: Path) -> None:
    home = tmp_path / "pg"
    with Postgres(home) as server:
        files = [home / "data" / "postmaster.pid", home / ".s.PGSQL.5432.lock"]
        texts = [file.read_text() for file in files]
        os.kill(server.pid or 0, signal.SIGKILL)
        wait_until_gone(home)
    for file, text in zip(files, texts, strict=True):
        file.write_text("\n".join([str(os.getpid()), *text.splitlines()[1:]]) + "\n")
    with Postgres(home) as server:
        assert ask(server.dsn, "select 1") == [(1,)]


def test_a_folder_too_deep_for_a_socket_has_its_socket_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / ("deep-" * 20) / "pg"
    with Postgres(home) as server:
        assert ask(server.dsn, "select 1") == [(1,)]
        [(sockets,)] = ask(server.dsn, "show unix_socket_directories")
        folder = Path(sockets.strip('"'))
        assert len(str(folder)) < LONGEST_SOCKET < len(str(home / ".s.PGSQL.5432"))
        assert (folder.stat().st_uid, folder.stat().st_mode & 0o077) == (os.getuid(), 0)
    assert not folder.exists()


def test_data_that_are_half_made_are_made_again(tmp_path: Path) -> None:
    (tmp_path / "pg" / "data.new").mkdir(parents=True)
    (tmp_path / "pg" / "data.new" / "PG_VERSION").write_text("18\n")
    with Postgres(tmp_path / "pg") as server:
        assert ask(server.dsn, "select 1") == [(1,)]


def test_data_of_another_version_are_named(tmp_path: Path) -> None:
    with Postgres(tmp_path / "pg"):
        pass
    (tmp_path / "pg" / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ServiceError, match="incompatible"):
        Postgres(tmp_path / "pg").start()
