"""`python -m sandbox`: one daemon, its sentences, and nothing left behind. The market alone, which needs no root."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.faults import FAULTS
from tests.doubles.until import until

pytestmark = pytest.mark.service

REPO = Path(__file__).resolve().parents[2]


class Commands:
    def __init__(self, state: Path) -> None:
        self.state = state

    def __call__(self, word: str, *options: str) -> subprocess.CompletedProcess[str]:
        where = ("--state", str(self.state))
        return subprocess.run(
            [sys.executable, "-m", "sandbox", word, *where, *options],
            cwd=REPO,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def up(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self("up", "--market-only", "--market-port", "0", *options)

    def status(self) -> dict:
        return json.loads(self("status", "--json").stdout)


def ended(process: int) -> bool:
    """Say whether a process is gone; one that only waits to be reaped has no command line any more."""
    try:
        return not Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return True


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Commands]:
    commands = Commands(tmp_path / ("deep-" * 20) / "state")
    yield commands
    commands("down")


def test_up_status_fault_down(sandbox):
    assert sandbox.status() == {"market": None, "store": None}
    assert sandbox.up("--time-scale", "100").returncode == 0
    found = sandbox.status()
    assert found["time_scale"] == 100
    assert found["market"]["instances"] == []
    assert found["market"]["usd_per_hour"] == 0
    assert httpx.get(f"{found['market']['url']}/api/v0/gpu_names/unique/").status_code == 200
    assert (sandbox.state / "control.sock").stat().st_mode & 0o777 == 0o600
    armed = sandbox("fault", "offer-taken", "--times", "2")
    assert armed.returncode == 0
    assert sandbox.status()["faults"] == {"offer-taken": 2}
    again = sandbox.up()
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "The sandbox is running already.")
    assert sandbox.status()["pid"] == found["pid"]
    assert sandbox("down").returncode == 0
    until(lambda: ended(found["pid"]))
    assert sandbox.status()["market"] is None
    assert (sandbox.state / "sandbox.log").read_text() == ""


def test_monitoring_joins_no_market_alone(sandbox):
    sandbox.up()
    refused = sandbox("up", "--monitoring", "on")
    assert (refused.returncode, refused.stdout) == (1, "The sandbox is running already.\n")
    assert refused.stderr == (
        "sandbox: It runs, and its monitoring did not start: A market alone has no monitoring: its hosts have no login, and "
        "report nothing.\n"
    )
    assert sandbox.status()["monitoring"] == {}


def test_no_controller_runs_beside_a_market_alone(sandbox):
    sandbox.up()
    refused = sandbox("controller", "--stack", "local")
    assert refused.stderr == (
        "sandbox: The controller did not start: A market alone has no database, so no controller runs beside it.\n"
    )
    assert sandbox.status()["controller"] is None
    assert sandbox("controller", "--off").stdout == "No controller runs.\n"
    assert "controller --stack NAME" in sandbox("controller").stderr


def test_hetzner_joins_as_records_and_its_faults_can_be_armed_then(sandbox):
    sandbox.up()
    assert sandbox.status()["hetzner"] is None
    assert "needs the Hetzner API (python -m sandbox hetzner)" in sandbox("fault", "hetzner-locked").stderr
    refused = sandbox("hetzner")
    assert refused.stderr == (
        "sandbox: The emulated Hetzner did not start: A market alone has no machines for Hetzner's servers. Start the API "
        "alone: --api-only\n"
    )
    told = sandbox("hetzner", "--api-only", "--help").stdout
    assert "file system" in told
    said = sandbox("hetzner", "--api-only").stdout
    one = sandbox.status()["hetzner"]
    assert f"HCLOUD_ENDPOINT={one['url']} HCLOUD_TOKEN={one['token']}" in said
    assert (len(one["token"]), len(one["k3s"]["sha256"]), one["servers"], one["has_machines"]) == (64, 64, [], False)
    assert sandbox("hetzner", "--api-only").returncode == 0
    assert sandbox("fault", "hetzner-locked").returncode == 0
    mine = {"Authorization": f"Bearer {one['token']}"}
    wanted = {"name": "node-0", "server_type": "cx33", "image": "debian-12", "location": "fsn1"}
    assert httpx.post(f"{one['url']}/servers", headers=mine, json=wanted).status_code == 423
    assert httpx.post(f"{one['url']}/servers", headers=mine, json=wanted).status_code == 201
    assert "node-0" in sandbox("status").stdout
    sandbox("down")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{one['url']}/servers", headers=mine)


def test_keys_with_scopes_and_calls_that_are_not_emulated(sandbox):
    sandbox.up()
    url = sandbox.status()["market"]["url"]
    key = sandbox("key", "--scopes", "misc, instance_read").stdout.strip()
    mine = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{url}/api/v1/instances/", headers=mine).status_code == 200
    assert httpx.get(f"{url}/api/v0/users/current/", headers=mine).status_code == 401
    wrong = sandbox("key", "--scopes", "everything")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "there is no scope 'everything'; there are misc, " in wrong.stderr
    assert httpx.get(f"{url}/api/v0/volumes/", headers=mine).json()["error"] == "not_emulated"
    assert sandbox.status()["market"]["not_emulated"] == {"GET /api/v0/volumes": 1}
    assert "not emulated GET /api/v0/volumes, called 1 x" in sandbox("status").stdout


def test_mistakes_are_answered_by_one_sentence(sandbox):
    asleep = sandbox("status")
    assert (asleep.returncode, asleep.stderr.count("\n")) == (1, 1)
    assert "python -m sandbox up" in asleep.stderr
    assert sandbox("down").stdout == "The sandbox is not running.\n"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = sandbox("up", "--market-only", "--market-port", str(port))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"Port {port} is in use by process {os.getpid()} (" in refused.stderr
    assert "--market-port" in refused.stderr
    assert "market.url of Pulumi.local.yaml" in refused.stderr
    sandbox.up()
    unknown = sandbox("fault", "offer-takn")
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "sandbox: There is no fault 'offer-takn'. Did you mean 'offer-taken'?\n",
    )
    assert sandbox("fault", "nope").stderr == (
        "sandbox: There is no fault 'nope'. They are listed by: python -m sandbox faults\n"
    )
    assert "not 0 times" in sandbox("fault", "offer-taken", "--times", "0").stderr
    assert "runs without one" in sandbox("fault", "corrupt-blob").stderr


def test_a_killed_daemon_is_no_obstacle(sandbox):
    sandbox.up()
    first = sandbox.status()["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: ended(first))
    assert sandbox.status()["market"] is None
    assert sandbox.up().returncode == 0
    assert sandbox.status()["pid"] != first


def test_clean_removes_what_was_kept_but_not_under_a_running_sandbox(sandbox):
    kept = sandbox.state / "store" / "objects"
    kept.mkdir(parents=True)
    (kept / "blob").write_text("weights")
    sandbox.up()
    refused = sandbox("clean")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "python -m sandbox down" in refused.stderr
    assert (kept / "blob").exists()
    sandbox("down")
    assert (kept / "blob").exists()
    assert str(kept.parent) in sandbox("clean").stdout
    assert not kept.parent.exists()
    assert (sandbox("clean").returncode, sandbox("clean").stdout) == (0, "")
    assert sandbox.up().returncode == 0


def test_faults_are_armed_told_and_switched_off(sandbox):
    sandbox.up()
    assert sandbox("faults", "--armed").stdout == "No fault is armed.\n"
    assert sandbox("fault", "server-error", "--nth", "2", "--instance", "chat-0", "--for", "1e6").returncode == 0
    assert sandbox("fault", "key-revoked").returncode == 0
    found = sandbox.status()
    refused = httpx.get(f"{found['market']['url']}/api/v1/instances/", params={"api_key": found["market"]["key"]})
    assert refused.status_code == 404
    lines = sandbox("faults", "--armed").stdout.splitlines()
    assert " ".join(lines[0].split()) == (
        "server-error armed struck 0 of 0 occasions --nth 2 --instance chat-0 --for 1000000.0"
    )
    assert " ".join(lines[1].split()).startswith("key-revoked armed struck 1 of 1 occasions")
    assert "1 switched off" in sandbox("fault", "key-revoked", "--off").stdout
    assert sandbox.status()["faults"] == {"server-error": None}
    wrong = sandbox("fault", "lost-create-reply", "--call", "list")
    assert wrong.stderr == "sandbox: 'lost-create-reply' strikes create calls, not list calls.\n"
    assert (
        "probability: Input should be less than or equal to 1"
        in sandbox("fault", "server-error", "--probability", "2").stderr
    )


def test_faults_are_listed_with_their_sentences():
    with tempfile.TemporaryDirectory() as folder:
        listed = Commands(Path(folder))("faults").stdout
    assert all(fault.name in listed and fault.sentence in listed for fault in FAULTS.values())
    assert len(FAULTS) >= 10
