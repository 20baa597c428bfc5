"""The database of a whole sandbox: there with it, gone with it, and its data are found again after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from sandbox.services.ports import choose

REPO = Path(__file__).resolve().parents[2]


def sandbox(state: Path, word: str, *options: str) -> str:
    command = [sys.executable, "-m", "sandbox", word, "--state", str(state), *options]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def up(state: Path) -> dict:
    names = ("--market-port", "--store-port", "--store-https-port")
    ports = [word for name, port in zip(names, choose(len(names)), strict=True) for word in (name, str(port))]
    sandbox(state, "up", "--vllm", "double", *ports)
    found: dict = json.loads(sandbox(state, "status", "--json"))
    return found


def answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.host
def test_the_database_lives_as_long_as_its_sandbox(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("emulated hosts are tested as root")
    state = tmp_path / "state"
    try:
        found = up(state)
        with psycopg.connect(found["postgres"]["dsn"], autocommit=True) as connection:
            connection.execute("create table kept (n int)")
        assert found["postgres"]["dsn"] in sandbox(state, "status")

        os.kill(found["pid"], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while answers(found["postgres"]["dsn"]):
            assert time.monotonic() < deadline
        again = up(state)
        with psycopg.connect(again["postgres"]["dsn"]) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (0,)
    finally:
        sandbox(state, "down")
    assert not (state / "postgres").exists()
