"""The controller beside the sandbox: it ends with its holder, and starts anew if what it is told of Pulumi changes.

Its database is real. In place of Pulumi a command answers what is applied.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from providers.elastic.applied import parse
from sandbox.services.child import ServiceError
from sandbox.services.controller import Controller
from sandbox.services.postgres import Postgres
from tests.controller.api.test_applied_offers import OUTPUT
from tests.doubles.processes import processes_of
from tests.doubles.pulumi_command import path_with_pulumi
from tests.doubles.until import until

pytestmark = pytest.mark.service

KEY = {"X-API-Key": parse(OUTPUT).clients["ci"].api_key.get_secret_value()}
HOLDER = """
import json, sys
from pathlib import Path
from sandbox.services.controller import Controller
controller = Controller(Path(sys.argv[1]))
controller.run("dev", sys.argv[2], json.load(sys.stdin))
print(controller.pid, flush=True)
import signal
signal.pause()
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Postgres]:
    with Postgres(tmp_path / "pg") as server:
        yield server


@pytest.fixture
def pulumi(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell whose `pulumi` tells what is applied."""
    words = "stack output elastic --json --show-secrets --stack dev"
    path = path_with_pulumi(tmp_path / "bin", {words: (0, json.dumps(OUTPUT), "")})
    return {"PATH": path, "PULUMI_BACKEND_URL": "file:///nowhere", "PULUMI_CONFIG_PASSPHRASE": "not in any argument"}


def test_it_answers_until_it_is_stopped_and_changes_with_what_it_is_told(
    tmp_path: Path, database: Postgres, pulumi: dict[str, str]
) -> None:
    home = tmp_path / "controller"
    controller = Controller(home)
    assert (controller.url, controller.pid) == ("", None)
    try:
        controller.run("dev", database.dsn, pulumi)
        url, first = controller.url, controller.pid
        asked = httpx.post(f"{url}/provision", headers=KEY, json={"model": "llama-3.1-8b", "gpu_type": "rtx4090"})
        assert asked.status_code == 202
        assert home.stat().st_mode & 0o077 == 0
        assert pulumi["PULUMI_CONFIG_PASSPHRASE"] not in Path(f"/proc/{first}/cmdline").read_text()

        controller.run("dev", database.dsn, pulumi)
        assert controller.pid == first
        controller.run("dev", database.dsn, {**pulumi, "PULUMI_PARALLEL": "3"})
        assert controller.pid != first
        assert controller.url == url
        shown = httpx.get(f"{url}/provision/{asked.json()['id']}", headers=KEY).json()
        assert shown["status"] == "provisioning", "the next one goes on with the claims of the one before"

        os.kill(controller.pid or 0, signal.SIGKILL)
        until(lambda: not controller.url)
        controller.run("dev", database.dsn, pulumi)
        assert controller.url == url
    finally:
        controller.remove()
    assert controller.url == ""
    assert not home.exists()
    assert processes_of(home) == []


def test_a_hundred_callers_with_one_idempotency_key_get_one_claim(
    tmp_path: Path, database: Postgres, pulumi: dict[str, str]
) -> None:
    controller = Controller(tmp_path / "controller")
    wanted = {"model": "llama-3.1-8b", "gpu_type": "rtx4090"}
    try:
        controller.run("dev", database.dsn, pulumi)
        with httpx.Client(base_url=controller.url, headers=KEY, timeout=60) as http, ThreadPoolExecutor(100) as callers:

            def ask(_number: int) -> str:
                answer = http.post("/provision", headers={"Idempotency-Key": "the same"}, json=wanted)
                assert answer.status_code == 202, answer.text
                return str(answer.json()["id"])

            ids = set(callers.map(ask, range(100)))
            assert len(ids) == 1
            assert {one["id"] for one in http.get("/provision").json()} == ids
    finally:
        controller.remove()


def test_a_controller_that_does_not_get_ready_is_a_sentence_with_its_last_words(
    tmp_path: Path, pulumi: dict[str, str]
) -> None:
    controller = Controller(tmp_path / "controller")
    with pytest.raises(ServiceError, match=r"controller did not get ready\..*GPU_FLEET_DSN names the database"):
        controller.run("dev", "postgresql://127.0.0.1:1/none", pulumi)
    assert controller.url == ""


def test_a_kill_of_its_holder_ends_it(tmp_path: Path, database: Postgres, pulumi: dict[str, str]) -> None:
    home = tmp_path / "controller"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home), database.dsn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(json.dumps(pulumi))
        holder.stdin.close()
        assert int(holder.stdout.readline()) > 0
        assert processes_of(home)
    finally:
        holder.kill()
        holder.wait()
    until(lambda: processes_of(home) == [])
