"""The daemon's Hetzner has servers that reach the sandbox's store, and ends with the daemon, also by kill -9."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hcloud import Client

from sandbox.hetzner.image import Image, folder_in
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.server_machine import demand_root
from sandbox.hosts.images import default_cache
from tests.doubles.hetzner import made
from tests.doubles.hetzner_login import Pair, login, user_data
from tests.doubles.until import until

pytestmark = [
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
]
ANY_PORTS = [word for name in ("market", "store", "store-https", "hetzner") for word in (f"--{name}-port", "0")]
OPTIONS = ("--vllm", "double", "--hetzner", "on", *ANY_PORTS)
REPO = Path(__file__).resolve().parents[3]


def sandbox(state: Path, *words: str) -> str:
    command = [sys.executable, "-m", "sandbox", *words, "--state", str(state)]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=240, check=True).stdout


def status(state: Path) -> Any:
    return json.loads(sandbox(state, "status", "--json"))["hetzner"]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    try:
        demand_root()
        Image(folder_in(default_cache())).demand()
    except MachinesError as error:
        pytest.skip(str(error))
    sandbox(tmp_path, "up", *OPTIONS)
    yield tmp_path
    sandbox(tmp_path, "down")


def of_servers(state: Path) -> list[str]:
    """Return the processes that boot or serve in servers of this sandbox."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mounts = (process / "mountinfo").read_text()
        except OSError:
            continue
        if f"{state}/hetzner/servers/" in mounts:
            found.append(process.name)
    return found


def test_its_servers_reach_the_store_and_end_with_the_daemon(state: Path) -> None:
    found = status(state)
    assert found["has_machines"]
    client = Client(found["token"], api_endpoint=found["url"], poll_interval=0.1)
    own, host = Pair.new(), Pair.new()
    server = made(client, user_data=user_data(own, host))
    with login(server.public_net.ipv4.ip, own, host) as ssh:
        assert ssh.run("curl -sS -o /dev/null -w '%{http_code}' https://s3.sandbox.internal/") == "403"
        assert "github.com" in ssh.run("cat /etc/hosts")
    assert [one["ipv4"] for one in status(state)["servers"]] == [server.public_net.ipv4.ip]
    assert of_servers(state)

    os.kill(json.loads(sandbox(state, "status", "--json"))["pid"], signal.SIGKILL)
    until(lambda: not of_servers(state), "each server to end with its daemon", 10.0)
    assert str(state) not in Path("/proc/mounts").read_text()
    sandbox(state, "up", *OPTIONS)
    assert status(state)["servers"] == []
    assert list((state / "hetzner" / "volumes").iterdir()) == []
