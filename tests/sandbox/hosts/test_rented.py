"""Real hosts behind the market's HTTP surface: a login through its SSH proxy, and commands that run in place of sshd."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import paramiko
import pytest

from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.images import Images
from sandbox.market.host_network import HostNetwork
from sandbox.market.proxy import SshProxy
from sandbox.testing import RunningMarket, running_market
from tests.doubles.emulated import USER_KEY, Login
from tests.doubles.until import until

pytestmark = pytest.mark.host
BODY = {"image": "ubuntu:22.04", "disk": 10}


@pytest.fixture
def market(tmp_path) -> Iterator[RunningMarket]:
    proxy = SshProxy()
    hosts = NamespaceHosts(tmp_path, Images("double", tmp_path))
    with running_market(hosts=hosts, network=HostNetwork(proxy=proxy), time_scale=2000) as running:
        yield running
    proxy.stop()


@pytest.fixture
def http(market: RunningMarket) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=market.url, headers={"Authorization": f"Bearer {market.key}"}, timeout=30) as found:
        yield found


def rented(http: httpx.Client, **more: object) -> int:
    offers = http.post("/api/v0/bundles/", json={"disk_space": {"gte": 30}}).json()["offers"]
    return http.put(f"/api/v0/asks/{offers[0]['id']}/", json={**BODY, **more}).json()["new_contract"]


def shown(http: httpx.Client, number: int) -> dict:
    return http.get(f"/api/v0/instances/{number}/").json()["instances"]


def reach(http: httpx.Client, number: int, status: str) -> dict:
    until(lambda: shown(http, number)["actual_status"] == status, seconds=30)
    return shown(http, number)


def test_a_login_through_the_proxy_reaches_the_instance_s_own_ssh_server(http, market):
    http.post("/api/v0/ssh/", json={"ssh_key": USER_KEY.public.strip()})
    number = rented(http, runtype="ssh_proxy", env={"GREETING": "hello"})
    row = reach(http, number, "running")
    host = market.emulator.get(number).host
    assert (row["ssh_host"], row["ports"]) == ("127.0.0.1", {})
    assert row["ssh_port"] != host.ports[22]
    login = Login(host, row["ssh_port"])
    assert login.host_key == host.key.fingerprint
    # More than one packet, both ways.
    assert login.run("hostname; head -c 300000 /dev/zero | wc -c") == (0, f"C.{number}\n300000\n")
    assert len(login.run("head -c 300000 /dev/zero")[1]) == 300_000
    http.put(f"/api/v0/instances/{number}/", json={"state": "stopped"})
    reach(http, number, "exited")
    with pytest.raises((paramiko.SSHException, EOFError, OSError)):
        Login(host, row["ssh_port"])
    http.put(f"/api/v0/instances/{number}/", json={"state": "running"})
    assert reach(http, number, "running")["ssh_port"] == row["ssh_port"]
    assert Login(host, row["ssh_port"]).run("true")[0] == 0


def test_a_key_that_is_attached_to_a_running_instance_opens_it_and_a_detached_one_does_not(http, market):
    number = rented(http, runtype="ssh_proxy")
    port, host = reach(http, number, "running")["ssh_port"], market.emulator.get(number).host
    with pytest.raises(paramiko.AuthenticationException):
        Login(host, port)
    http.post(f"/api/v0/instances/{number}/ssh/", json={"ssh_key": USER_KEY.public.strip()})

    def opens() -> bool:
        try:
            return Login(host, port).run("true")[0] == 0
        except paramiko.AuthenticationException:
            return False

    until(opens)
    key = json.loads(http.get(f"/api/v0/instances/{number}/ssh/").json()["ssh_keys"])[0]["id"]
    http.delete(f"/api/v0/instances/{number}/ssh/{key}/")
    until(lambda: not opens())


def test_a_recycled_instance_takes_the_same_key_and_has_an_empty_disk(http, market):
    http.post("/api/v0/ssh/", json={"ssh_key": USER_KEY.public.strip()})
    number = rented(http, runtype="ssh_proxy")
    port = reach(http, number, "running")["ssh_port"]
    contract = market.emulator.get(number)
    first = contract.host
    assert Login(first, port).run("touch /root/mine && ls /root/mine")[0] == 0
    http.put(f"/api/v0/instances/recycle/{number}/", json={})
    assert reach(http, number, "running")["ssh_port"] == port
    assert contract.host is not first
    assert Login(contract.host, port).run("test -e /root/mine")[0] == 1


def test_args_run_and_an_instance_whose_command_ends_is_exited_and_can_be_started_again(http, market):
    number = rented(http, runtype="args", args=["sh", "-c", "echo ran; exit 3"])
    assert reach(http, number, "exited")["intended_status"] == "running"
    host = market.emulator.get(number).host
    assert host.log() == "ran\n"
    assert market.emulator.usd_per_hour() == market.emulator.get(number).meter.disk_usd_per_hour
    http.put(f"/api/v0/instances/{number}/", json={"state": "running"})
    until(lambda: host.log() == "ran\nran\n")
    reach(http, number, "exited")


def test_an_instance_whose_command_is_not_in_the_image_stays_created(http):
    row = reach(http, number := rented(http, runtype="args", args=["no-such-program"]), "created")
    until(lambda: "OCI runtime create failed" in (shown(http, number)["status_msg"] or ""))
    assert row["ports"] is None
