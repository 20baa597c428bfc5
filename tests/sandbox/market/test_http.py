"""The market over HTTP: states, error forms, pages, faults and keys, as clients meet them."""

import json
from collections.abc import Iterator

import httpx
import pytest

from sandbox.hosts.spec import HostsError, HostSpec, NoHost, NoHosts
from sandbox.testing import RunningMarket, running_market
from tests.doubles.until import until

pytestmark = pytest.mark.service
BODY = {"image": "img:1", "disk": 10, "runtype": "ssh_direc ssh_proxy", "env": {"-p 8443:8443": "1", "A": "B"}}


class RememberedHosts(NoHosts):
    """Keeps what it made; fails with `complaint` where there is one."""

    def __init__(self) -> None:
        self.specs: list[HostSpec] = []
        self.made: list[NoHost] = []
        self.complaint = ""

    def create(self, spec: HostSpec) -> NoHost:
        if self.complaint:
            raise HostsError(self.complaint)
        self.specs.append(spec)
        self.made.append(NoHost(spec))
        return self.made[-1]


@pytest.fixture
def hosts() -> RememberedHosts:
    return RememberedHosts()


@pytest.fixture
def market(hosts: RememberedHosts) -> Iterator[RunningMarket]:
    with running_market(hosts=hosts, time_scale=2000) as running:
        yield running


@pytest.fixture
def http(market: RunningMarket) -> Iterator[httpx.Client]:
    with client(market.url, market.key) as found:
        yield found


def client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"} if key else {})


def offers(http: httpx.Client, **query: object) -> list[dict]:
    found = http.post("/api/v0/bundles/", json={"direct_port_count": {"gte": 4}, "disk_space": {"gte": 30}, **query})
    return found.json()["offers"]


def rent(http: httpx.Client, **more: object) -> int:
    return http.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json={**BODY, **more}).json()["new_contract"]


def shown(http: httpx.Client, number: int) -> dict:
    return http.get(f"/api/v0/instances/{number}/?owner=me").json()["instances"]


def running(http: httpx.Client, number: int) -> dict:
    until(lambda: shown(http, number)["actual_status"] == "running")
    return shown(http, number)


def test_an_instance_comes_up_is_billed_and_goes(market, http, hosts):
    offer = offers(http)[0]
    number = http.put(f"/api/v0/asks/{offer['id']}", json={**BODY, "label": "one"}).json()["new_contract"]
    assert offer["id"] not in {one["ask_contract_id"] for one in offers(http)}
    found = running(http, number)
    assert found["ports"]["8443/tcp"][0] == {"HostIp": "0.0.0.0", "HostPort": "3"}
    assert found["extra_env"] == [["-p 8443:8443", "1"], ["A", "B"]]
    assert found["public_ipaddr"].strip() == "127.0.0.1"
    assert hosts.specs[0].env["CONTAINER_ID"] == str(number)
    assert hosts.specs[0].env["A"] == "B"
    assert hosts.specs[0].published == (22, 8443)
    assert market.emulator.usd_per_hour() == pytest.approx(offer["dph_base"] + 10 * offer["storage_cost"] / 720)
    assert http.delete(f"/api/v0/instances/{number}/").json()["success"] is True
    assert market.emulator.usd_per_hour() == 0
    billed = market.emulator.usd_billed()
    assert billed > 0
    assert shown(http, number) is None
    assert market.emulator.usd_billed() == billed
    until(lambda: hosts.made[0].destroyed)
    assert offer["machine_id"] in {
        one["machine_id"] for one in offers(http, machine_id={"eq": str(offer["machine_id"])})
    }


def test_states_before_running_have_no_ports_and_bill_the_disk_alone(market, http):
    market.arm("never-boots")
    number = rent(http)
    until(lambda: shown(http, number)["actual_status"] == "loading")
    assert shown(http, number)["ports"] is None
    assert 0 < market.emulator.usd_per_hour() < 0.02


def test_a_fresh_instance_is_there_at_once_and_by_fault_comes_late():
    with running_market(time_scale=1) as market, client(market.url, market.key) as http:
        number = rent(http)
        assert shown(http, number)["id"] == number
        market.arm("late-in-reads")
        late = rent(http)
        assert shown(http, late) is None
        assert [one["id"] for one in http.get("/api/v1/instances/").json()["instances"]] == [number]
        assert market.emulator.all()[1].id == late


def test_stop_start_and_reboot(market, http, hosts):
    number = rent(http)
    running(http, number)
    assert http.put(f"/api/v0/instances/{number}/", json={"state": "stopped"}).json() == {"success": True}
    assert shown(http, number)["actual_status"] == "exited"
    assert shown(http, number)["instance"]["gpuCostPerHour"] == 0
    until(lambda: not hosts.made[0].running)
    http.put(f"/api/v0/instances/{number}/", json={"state": "running"})
    running(http, number)
    assert http.put(f"/api/v0/instances/reboot/{number}/", json={}).json() == {"success": True}
    running(http, number)
    assert hosts.made[0].running
    assert len(hosts.made) == 1


def test_a_host_that_cannot_be_made_says_so_as_docker_would(http, hosts):
    hosts.complaint = "there is no image"
    number = rent(http)
    until(lambda: "Error response from daemon" in (shown(http, number)["status_msg"] or ""))
    assert shown(http, number)["actual_status"] == "loading"


@pytest.mark.parametrize(
    ("key", "status", "text"), [("", 403, "This action requires login."), ("no", 404, "Invalid user key")]
)
def test_keys_that_are_not_known(market, key, status, text):
    with client(market.url, key) as http:
        answer = http.get("/api/v0/users/current")
    assert (answer.status_code, answer.json()["error"], answer.json()["msg"]) == (status, "auth_error", text)


def test_error_forms(http):
    gone = http.delete("/api/v0/instances/7/", headers={})
    assert (gone.status_code, gone.json()["error"]) == (404, "no_such_instance")
    assert http.get("/api/v0/instances/7/").json() == {"instances": None}
    old = http.get("/api/v0/instances/?owner=me")
    assert (old.status_code, old.json()["error"]) == (410, "deprecated_endpoint")
    ask = http.put("/api/v0/asks/7/", json=BODY)
    assert (ask.status_code, ask.json()["error"]) == (404, "invalid_args")
    assert "no_such_ask" in ask.json()["msg"]
    image = http.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json={"disk": 10})
    assert (image.status_code, image.json()["error"]) == (400, "invalid_args")
    assert http.put("/api/v0/asks/7/", content=b"{").json()["msg"] == "Invalid json body"
    search = http.post("/api/v0/bundles/", json={"gpu_name": "x"})
    assert (search.status_code, search.json()["error"]) == (400, "bad_request")
    assert http.get("/api/v0/instances/seven/").status_code == 400
    assert search.headers["content-type"] == "application/json"


def test_an_account_without_credit_rents_nothing():
    with running_market(credit=0) as market, client(market.url, market.key) as http:
        answer = http.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json=BODY)
        assert answer.json()["error"] == "insufficient_credit"
        assert market.emulator.all() == []


def test_pages_filters_and_labels(http):
    numbers = [rent(http, label="even" if index % 2 == 0 else "odd") for index in range(27)]
    first = http.get("/api/v1/instances/").json()
    assert (len(first["instances"]), first["instances_found"], first["total_instances"]) == (25, 25, 27)
    assert first["label_counts"] == {"even": 14, "odd": 13}
    second = http.get("/api/v1/instances/", params={"after_token": first["next_token"]}).json()
    assert second["next_token"] is None
    assert [one["id"] for one in first["instances"] + second["instances"]] == numbers
    odd = http.get("/api/v1/instances", params={"select_filters": json.dumps({"label": {"eq": "odd"}})}).json()
    assert [one["id"] for one in odd["instances"]] == numbers[1::2]
    assert (odd["instances_found"], odd["total_instances"]) == (13, 13)
    one = {"select_filters": json.dumps({"id": {"eq": numbers[3]}}), "select_cols": '["id","nothing"]'}
    assert http.get("/api/v1/instances/", params=one).json()["instances"] == [{"id": numbers[3], "nothing": None}]
    order = {"order_by": '[{"col":"id","dir":"desc"}]', "limit": "0"}
    assert [row["id"] for row in http.get("/api/v1/instances/", params=order).json()["instances"]] == numbers[:-6:-1]
    bad = http.get("/api/v1/instances/", params={"select_filters": '{"dph_total":{"lte":1}}'})
    assert bad.json()["msg"] == "Error in query parameters: dph_total is not a valid search key"
    assert http.get("/api/v1/instances/", params={"after_token": "x"}).json()["error"] == "invalid_token"


def test_a_container_s_key_reaches_its_own_instance_only(market, http):
    mine, other = rent(http), rent(http)
    with client(market.url, market.emulator.get(mine).api_key) as inside:
        assert shown(inside, mine)["id"] == mine
        for refused in (
            inside.get(f"/api/v0/instances/{other}/"),
            inside.delete(f"/api/v0/instances/{other}/"),
            inside.get("/api/v1/instances/"),
            inside.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json=BODY),
        ):
            assert refused.status_code == 401
        assert inside.put(f"/api/v0/instances/{mine}/", json={"state": "stopped"}).json()["success"] is True
        assert inside.delete(f"/api/v0/instances/{mine}/").json()["success"] is True
    assert [one.id for one in market.emulator.all()] == [other]


def test_a_log_is_not_there_at_the_first_read(http):
    number = rent(http)
    running(http, number)
    url = http.put(f"/api/v0/instances/request_logs/{number}/", json={"tail": "10"}).json()["result_url"]
    assert [httpx.get(url).status_code for _ in range(2)] == [404, 200]
    assert httpx.get(url).text.startswith("gpu-fleet host key SHA256:")


def test_account_keys_reach_new_hosts(http, hosts):
    none = http.get("/api/v0/ssh/")
    assert (none.status_code, none.json()["success"]) == (404, False)
    key = http.post("/api/v0/ssh/", json={"ssh_key": "ssh-ed25519 AAAA me"}).json()["key"]
    number = rent(http)
    running(http, number)
    assert hosts.specs[0].authorized_keys == ("ssh-ed25519 AAAA me",)
    assert json.loads(http.get(f"/api/v0/instances/{number}/ssh/").json()["ssh_keys"])[0]["id"] == key["id"]
    assert http.delete(f"/api/v0/ssh/{key['id']}/").json()["success"] is True
    assert http.delete(f"/api/v0/ssh/{key['id']}/").json()["error"] == "no_ssh_key"


def test_a_lost_reply_has_rented_all_the_same(market, http):
    market.arm("lost-create-reply")
    with pytest.raises(httpx.RemoteProtocolError):
        rent(http, label="lost")
    assert [one.label for one in market.emulator.all()] == ["lost"]
    assert rent(http) != market.emulator.all()[0].id


def test_an_offer_that_was_taken_in_that_moment(market, http):
    market.arm("offer-taken")
    offer = offers(http)[0]["id"]
    answer = http.put(f"/api/v0/asks/{offer}/", json=BODY)
    assert (answer.status_code, answer.json()["error"]) == (410, "no_such_ask")
    assert answer.json()["msg"].startswith(f"error 410/3907: no_such_ask Instance type by id {offer} ")
    assert http.put(f"/api/v0/asks/{offer}/", json=BODY).status_code == 404
    assert market.emulator.all() == []


def test_an_offer_that_was_lost_is_no_rental_and_an_ended_rental_is_one(market, http):
    market.arm("offer-taken")
    http.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json=BODY)
    number = rent(http)
    http.delete(f"/api/v0/instances/{number}/")
    assert [one.id for one in market.emulator.contracts()] == [number]


def test_an_empty_list_that_lies_once(market, http):
    number = rent(http)
    market.arm("lying-empty-list")
    first, second = (http.get("/api/v1/instances/").json() for _ in range(2))
    assert (first["instances"], first["instances_found"]) == ([], 0)
    assert [one["id"] for one in second["instances"]] == [number]


def test_rate_limits_by_fault_and_by_threshold(market, http):
    market.arm("rate-limited", times=4)
    answers = [http.get("/api/v0/users/current/") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [429] * 4 + [200]
    assert "retry-after" in {name for answer in answers for name in answer.headers}
    with running_market(thresholds=True, time_scale=0.1) as slow, client(slow.url, slow.key) as fast:
        assert [fast.get("/api/v1/instances/").status_code for _ in range(2)] == [200, 429]
        assert fast.get("/api/v0/users/current/").status_code == 200


@pytest.mark.parametrize(
    ("fault", "played"),
    [
        ("ssh-closed", "ssh_closed"),
        ("other-host-key-first", "other_host_key"),
        ("other-host-key-later", "other_host_key"),
        ("slow-host", "slow"),
        ("vllm-dies-at-start", "vllm_dies"),
    ],
)
def test_faults_that_the_next_host_plays(market, http, hosts, fault, played):
    market.arm(fault)
    running(http, rent(http))
    running(http, rent(http))
    assert [host.faults for host in hosts.made] == [[played], []]


def test_corrupt_blob_is_the_store_s_to_play():
    struck: list[int] = []
    with running_market(corrupt_next_blob=lambda: struck.append(1)) as market:
        market.arm("corrupt-blob", times=2)
    assert struck == [1, 1]
