"""The market's surface as other people's clients meet it: keys with scopes, windows, forms of a request, unknown routes."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from sandbox.hosts.spec import HostSpec, NoHost, NoHosts
from sandbox.market.host_network import HostNetwork
from sandbox.market.keys import SCOPES
from sandbox.market.protocol.thresholds import Thresholds
from sandbox.market.proxy import SshProxy
from sandbox.market.records.contracts import of_flags
from sandbox.market.records.machines import generate
from sandbox.market.server import ROUTES
from sandbox.testing import RunningMarket, running_market
from tests.doubles.until import until

pytestmark = pytest.mark.service
BODY = {"image": "img:1", "disk": 10, "runtype": "ssh_direc ssh_proxy", "env": {"-p 8443:8443": "1", "A": "B"}}


@pytest.fixture
def market() -> Iterator[RunningMarket]:
    with running_market(time_scale=2000) as running:
        yield running


@pytest.fixture
def http(market: RunningMarket) -> Iterator[httpx.Client]:
    with client(market, market.key) as found:
        yield found


def client(market: RunningMarket, key: str) -> httpx.Client:
    return httpx.Client(base_url=market.url, headers={"Authorization": f"Bearer {key}"} if key else {})


def offers(http: httpx.Client) -> list[dict]:
    query = {"direct_port_count": {"gte": 4}, "disk_space": {"gte": 30}}
    return http.post("/api/v0/bundles/", json=query).json()["offers"]


def rent(http: httpx.Client, **more: object) -> httpx.Response:
    return http.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json={**BODY, **more})


def rented(http: httpx.Client, **more: object) -> int:
    return rent(http, **more).json()["new_contract"]


def shown(http: httpx.Client, number: int) -> dict:
    return http.get(f"/api/v0/instances/{number}/?owner=me").json()["instances"]


def test_a_search_needs_no_key_and_nothing_else_goes_without(market):
    with client(market, "") as anybody:
        assert len(offers(anybody)) > 5
        assert anybody.get("/api/v1/instances/").status_code == 403
    with client(market, "wrong") as stranger:
        assert stranger.post("/api/v0/bundles/", json={}).json()["error"] == "auth_error"


def test_every_card_that_is_offered_is_among_the_names(market):
    with client(market, "") as anybody:
        names = anybody.get("/api/v0/gpu_names/unique/").json()["gpu_names"]
    assert {machine.gpu.name for machine in generate(7)} <= set(names)
    assert {"RTX 4090", "RTX 4090 laptop", "Tesla V100"} <= set(names)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/api/v0/volumes/", "GET /api/v0/volumes"),
        ("PUT", "/api/v0/instances/update_template/7/", "PUT /api/v0/instances/update_template/{id}"),
        ("PATCH", "/api/v0/instances/12/", "PATCH /api/v0/instances/{id}"),
        ("GET", "/nowhere", "GET /nowhere"),
    ],
)
def test_what_is_not_emulated_says_so_and_is_counted(http, market, method, path, route):
    answers = [http.request(method, path) for _ in range(2)]
    assert [(one.status_code, one.json()["error"]) for one in answers] == [(501, "not_emulated")] * 2
    assert route in answers[0].json()["msg"]
    assert market.account.not_emulated == Counter({route: 2})


def test_a_key_opens_what_its_scopes_say(http, market):
    number = rented(http)
    permissions: dict[str, dict] = {"api": {"misc": {}, "instance_read": {}}}
    made = http.post("/api/v0/auth/apikeys/", json={"name": "watch", "permissions": permissions}).json()
    assert made["permissions"] == permissions
    assert http.get("/api/v0/auth/apikeys/").json()["apikeys"][0]["name"] == "watch"
    assert made["key"] not in http.get(f"/api/v0/auth/apikeys/{made['id']}/").text
    with client(market, made["key"]) as scoped:
        assert offers(scoped)
        assert shown(scoped, number)["id"] == number
        for refused in (
            rent(scoped),
            scoped.delete(f"/api/v0/instances/{number}/"),
            scoped.get("/api/v0/users/current/"),
            scoped.get("/api/v0/charges/"),
        ):
            assert (refused.status_code, refused.json()["error"]) == (401, "auth_error")
        assert http.delete(f"/api/v0/auth/apikeys/{made['id']}/").status_code == 200
        assert scoped.get("/api/v1/instances/").json()["error"] == "auth_error"
    assert market.emulator.get(number)


def test_keys_that_cannot_be_made(http, market):
    for permissions, status in ((None, 400), ({"api": {"everything": {}}}, 400), ({"api": {"misc": {"id": {}}}}, 501)):
        assert http.post("/api/v0/auth/apikeys/", json={"permissions": permissions}).status_code == status
    assert http.get("/api/v0/auth/apikeys/5/").status_code == 404
    route = "POST /api/v0/auth/apikeys: The sandbox does not emulate constraints of a key's scope (misc)."
    assert market.account.not_emulated == Counter({route: 1})


def test_every_route_has_a_scope_that_a_key_can_have():
    assert {one.scope for one in ROUTES} <= set(SCOPES)


def test_ten_searches_come_at_once_and_the_next_when_the_window_lets_it():
    now = [0.0]
    thresholds = Thresholds(2.0, lambda: now[0])
    assert [thresholds.check("me", "search") for _ in range(10)] == [None] * 10
    assert thresholds.check("me", "search") is not None
    assert thresholds.check("you", "search") is None
    now[0] = 29.9
    assert thresholds.check("me", "search") is not None
    now[0] = 30.0
    assert [thresholds.check("me", "search") for _ in range(10)] == [None] * 10
    assert thresholds.too_early == 2


def test_the_list_s_first_version_is_a_switch():
    with running_market(old_list=True) as market, client(market, market.key) as http:
        number = rented(http)
        assert [one["id"] for one in http.get("/api/v0/instances/").json()["instances"]] == [number]


def test_env_as_text_is_env_as_an_object(http, market):
    number = rented(http, env="-p 8443:8443 -e A=B -p 5000:5000/udp --privileged -h box -e 'C=d e'")
    pairs = [["-p 8443:8443", "1"], ["A", "B"], ["-p 5000:5000/udp", "1"], ["-h", "box"], ["C", "d e"]]
    assert shown(http, number)["extra_env"] == pairs
    assert rent(http, env="-e 'A=B").status_code == 400
    assert of_flags("") == {}


def test_requests_that_are_refused(http, market):
    small = rent(http, disk=7)
    assert (small.status_code, small.json()["error"]) == (400, "invalid_args")
    template = rent(http, template_hash_id="abc")
    assert (template.status_code, template.json()["error"]) == (501, "not_emulated")
    assert market.emulator.all() == []
    route = "PUT /api/v0/asks/{id}: The sandbox does not emulate templates (template_hash_id, template_id)."
    assert market.account.not_emulated == Counter({route: 1})
    log = http.put("/api/v0/instances/request_logs/7/", json={})
    assert (log.status_code, log.json()["error"]) == (404, "invalid_id")


def test_lists_filter_by_columns_and_order_as_documented(http):
    numbers = [rented(http) for _ in range(3)]
    bad = http.get("/api/v1/instances/", params={"select_filters": '{"num_gpus":{"eq":1}}'})
    assert (bad.status_code, bad.json()["msg"]) == (
        400,
        "Error in query parameters: num_gpus is not a valid search key",
    )
    odd = http.get("/api/v1/instances/", params={"order_by": '[{"col":"id","dir":"upwards"}]'}).json()
    assert [one["id"] for one in odd["instances"]] == numbers
    found = http.post("/api/v0/bundles/", json={"ubuntu_version": {"eq": "22.04"}}).json()["offers"]
    assert found
    choices = http.get("/api/v0/instances/filters/").json()["filters"][0]
    assert set(choices) == {"actual_status", "verification", "gpu_name"}


def test_several_are_stopped_started_and_ended_at_once(http, market):
    numbers = [rented(http) for _ in range(3)]
    assert http.put("/api/v0/instances/", json={"ids": numbers[:2], "state": "stopped"}).json()["success"] is True
    assert [market.emulator.get(number).intended for number in numbers] == ["stopped", "stopped", "running"]
    gone = http.request("DELETE", "/api/v0/instances/", json={"instance_ids": [*numbers, 7]}).json()
    assert (gone["success"], list(gone["failed"])) == (False, ["7"])
    assert market.emulator.all() == []
    wrong: dict[str, list]
    for wrong in ({}, {"instance_ids": []}, {"instance_ids": ["x"]}, {"instance_ids": list(range(65))}):
        assert http.request("DELETE", "/api/v0/instances/", json=wrong).status_code == 400


def test_a_key_is_attached_to_an_instance_once_and_reaches_its_host(http, market):
    number = rented(http)
    where = f"/api/v0/instances/{number}/ssh/"
    until(lambda: market.emulator.get(number).host is not None)
    host = market.emulator.get(number).host
    assert http.post(where, json={"ssh_key": "ssh-ed25519 AAAA me"}).json()["success"] is True
    for line in ("ssh-ed25519 AAAA me", "ssh-ed25519 AAAA", "ssh-ed25519  AAAA another comment"):
        again = http.post(where, json={"ssh_key": line})
        assert (again.status_code, again.json()["success"]) == (200, False)
        assert "already associated" in again.json()["msg"]
    assert len(json.loads(http.get(where).json()["ssh_keys"])) == 1
    key = json.loads(http.get(where).json()["ssh_keys"])[0]
    until(lambda: host.keys == ["ssh-ed25519 AAAA me"])
    http.delete(f"{where}{key['id']}/")
    until(lambda: host.keys == [])


class Held(NoHosts):
    """Makes no host before `go` is set."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def create(self, spec: HostSpec) -> NoHost:
        self.asked.set()
        assert self.go.wait(20)
        return NoHost(spec)


def test_a_key_that_is_attached_while_the_host_is_made_reaches_it():
    hosts = Held()
    with running_market(hosts=hosts, time_scale=2000) as market, client(market, market.key) as http:
        number = rented(http)
        assert hosts.asked.wait(20)
        http.post(f"/api/v0/instances/{number}/ssh/", json={"ssh_key": "ssh-ed25519 AAAA me"})
        hosts.go.set()
        made = market.emulator.get(number)
        until(lambda: isinstance(made.host, NoHost) and made.host.keys == ["ssh-ed25519 AAAA me"])


def test_an_account_key_is_replaced(http):
    key = http.post("/api/v0/ssh/", json={"ssh_key": "ssh-ed25519 AAAA old"}).json()["key"]
    http.put(f"/api/v0/ssh/{key['id']}/", json={"ssh_key": "ssh-ed25519 AAAA new"})
    assert [one["public_key"] for one in http.get("/api/v0/ssh/").json()] == ["ssh-ed25519 AAAA new"]
    assert http.put(f"/api/v0/ssh/{key['id'] + 1}/", json={"ssh_key": "ssh-ed25519 AAAA new"}).status_code == 400


def test_a_bid_under_the_minimum_leaves_a_contract_behind(market, http):
    answer = http.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json={**BODY, "price": 0.001})
    assert answer.status_code == 400
    left = market.emulator.get(answer.json()["new_contract"])
    assert left.intended == "stopped"
    assert market.emulator.usd_per_hour() > 0
    # It holds no GPU: the offer stays, starting it is refused, and its end lists nothing twice.
    assert answer.json()["ask_id"] in {one["id"] for one in offers(http)}
    start = http.put(f"/api/v0/instances/{left.id}/", json={"state": "running"})
    assert (start.status_code, start.json()["error"]) == (200, "resources_unavailable")
    listed = len(market.emulator.listed())
    http.delete(f"/api/v0/instances/{left.id}/")
    assert len(market.emulator.listed()) == listed


class Talker(NoHost):
    """A host whose port 22 is a listener of the test's."""

    def __init__(self, spec: HostSpec, port: int) -> None:
        super().__init__(spec)
        self.ports = {**self.ports, 22: port}


class Talkers(NoHosts):
    def __init__(self, port: int) -> None:
        self.port = port

    def create(self, spec: HostSpec) -> NoHost:
        return Talker(spec, self.port)


def greeting(port: int) -> bytes:
    """Return what the proxy sends first; nothing where it resets."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as dialled:
            return dialled.recv(4)
    except ConnectionResetError:
        return b""


def test_the_proxy_leads_to_port_22_once_the_instance_runs_and_until_it_ends():
    proxy = SshProxy()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        running_market(
            hosts=Talkers(server.getsockname()[1]), network=HostNetwork(proxy=proxy), time_scale=2000
        ) as market,
        client(market, market.key) as http,
    ):
        threading.Thread(target=lambda: server.accept()[0].sendall(b"SSH-"), daemon=True).start()
        market.arm("never-boots", instance="waits")
        waits, number = rented(http, label="a/b/waits"), rented(http)
        asleep = shown(http, waits)
        assert (asleep["ssh_host"], greeting(asleep["ssh_port"])) == ("127.0.0.1", b"")
        port = shown(http, number)["ssh_port"]
        until(lambda: shown(http, number)["actual_status"] == "running")
        assert shown(http, number)["ssh_port"] == port
        assert greeting(port) == b"SSH-"
        http.delete(f"/api/v0/instances/{number}/")
        with pytest.raises(ConnectionRefusedError):
            greeting(port)
    proxy.stop()
