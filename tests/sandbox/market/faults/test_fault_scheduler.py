"""What becomes of an instance, its machine and its address without anybody having asked for it."""

from __future__ import annotations

import socket

import pytest

from tests.doubles.until import until

pytestmark = pytest.mark.service


def rate(market, number: int) -> float:
    return next(one.meter.usd_per_hour() for one in market.emulator.all() if one.id == number)


def test_it_never_boots(market, plain):
    market.arm("never-boots", instance="chat-1")
    stuck, other = plain.rented("gpu-fleet/abc/chat-1"), plain.running()
    until(lambda: plain.show(stuck)["actual_status"] == "loading")
    until(lambda: market.emulator.clock.now() > plain.show(stuck)["start_date"] + 4000)
    assert plain.show(stuck)["actual_status"] == "loading"
    assert plain.show(other)["actual_status"] == "running"


def test_the_image_cannot_be_pulled_and_the_market_gives_up(market, plain):
    market.arm("image-pull-fails")
    number = plain.rented()
    until(lambda: "unexpected EOF" in (plain.show(number)["status_msg"] or ""))
    until(lambda: plain.show(number)["intended_status"] == "stopped")
    assert plain.show(number)["actual_status"] == "loading"


def test_the_container_cannot_start(market, plain):
    market.arm("container-start-fails")
    number = plain.rented()
    until(lambda: "OCI runtime create failed" in (plain.show(number)["status_msg"] or ""))
    assert plain.show(number)["actual_status"] == "created"


def test_it_boots_and_exits(market, plain, hosts):
    market.arm("boots-then-exits")
    number = plain.rented()
    until(lambda: plain.show(number)["actual_status"] == "exited")
    assert plain.show(number)["intended_status"] == "running"
    until(lambda: not hosts.made[0].running)
    assert rate(market, number) < 0.05


@pytest.mark.parametrize("fault", ["vanishes-in-boot", "vanishes-later"])
def test_it_vanishes(market, plain, hosts, fault):
    market.arm(fault)
    number = plain.rented()
    until(lambda: plain.show(number) is None)
    assert plain.listed() == []
    assert len(hosts.made) == (fault == "vanishes-later")
    assert plain.destroy(number).json()["error"] == "no_such_instance"
    assert market.emulator.usd_per_hour() == 0


def test_a_named_instance_that_runs_vanishes_at_once(market, plain):
    one, other = plain.running("gpu-fleet/abc/chat-0"), plain.running("gpu-fleet/abc/chat-1")
    market.arm("vanishes-later", instance="chat-1")
    until(lambda: plain.show(other) is None)
    assert plain.show(one)["actual_status"] == "running"


def test_the_market_stops_it_and_bills_its_disk(market, plain):
    market.arm("reclaimed")
    number = plain.rented()
    until(lambda: plain.show(number)["intended_status"] == "stopped")
    assert plain.show(number)["actual_status"] == "exited"
    assert 0 < rate(market, number) < 0.05


def test_the_credit_ends_and_comes_back(market, plain):
    number = plain.running()
    market.arm("credit-exhausted")
    until(lambda: plain.show(number)["intended_status"] == "stopped")
    assert plain.http.get("/api/v0/users/current/").json()["credit"] == 0
    assert plain.rent().json()["error"] == "insufficient_credit"
    start = plain.http.put(f"/api/v0/instances/{number}/", json={"state": "running"})
    assert (start.status_code, start.json()["error"]) == (400, "missing_billing")
    market.emulator.faults.disarm("credit-exhausted")
    until(lambda: plain.rent().status_code == 200)


def test_a_machine_goes_off_is_not_billed_and_comes_back(market, plain, hosts):
    number = plain.running()
    market.arm("host-off", instance=str(number))
    until(lambda: plain.show(number)["actual_status"] == "offline")
    assert plain.show(number)["intended_status"] == "running"
    assert rate(market, number) == 0
    until(lambda: not hosts.made[0].running)
    market.emulator.faults.disarm("host-off")
    until(lambda: plain.show(number)["actual_status"] == "running")
    assert hosts.made[0].running
    assert rate(market, number) > 0.05


def test_a_window_takes_a_machine_off_and_brings_it_back(market, plain):
    number = plain.running()
    market.arm("host-off", instance="chat-0", after=100, seconds=2000)
    until(lambda: plain.show(number)["actual_status"] == "offline")
    until(lambda: plain.show(number)["actual_status"] == "running")


def test_no_ports(market, plain):
    market.arm("ports-missing")
    number = plain.running()
    assert plain.show(number)["ports"] is None
    market.emulator.faults.disarm("ports-missing")
    until(lambda: plain.show(number)["ports"] is not None)


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("fault", ["wrong-ports", "wrong-address"])
def test_where_nobody_listens(market, plain, hosts, fault):
    with socket.create_server(("127.0.0.1", 0)) as service:
        number = plain.running()
        hosts.made[0].ports = {22: service.getsockname()[1], 8443: service.getsockname()[1]}

        def dial() -> None:
            found = plain.show(number)
            where = found["public_ipaddr"].strip(), int(found["ports"]["22/tcp"][0]["HostPort"])
            socket.create_connection(where, timeout=5).close()

        dial()
        field = "public_ipaddr" if fault == "wrong-address" else "ports"
        before = plain.show(number)[field]
        market.arm(fault, instance="chat-0")
        until(lambda: plain.show(number)[field] != before)
        with pytest.raises(ConnectionRefusedError):
            dial()


def test_the_ports_of_a_stranger(market, plain, hosts):
    market.arm("stranger-at-address")
    plain.running("gpu-fleet/abc/chat-0")
    hosts.made[0].ports = {22: 1001, 8443: 1002}
    second = plain.running("gpu-fleet/abc/chat-1")
    assert plain.show(second)["ports"]["22/tcp"][0]["HostPort"] == "1001"


def test_ports_that_move(market, plain, hosts):
    number = plain.running()
    market.arm("moved-ports", instance="chat-0")
    until(lambda: hosts.made[0].faults == ["moved_ports"])
    assert plain.show(number)["actual_status"] == "running"


def test_faults_of_hosts_reach_a_running_host_and_are_mended(market, plain, hosts):
    plain.running()
    market.arm("slow-host", instance="chat-0")
    until(lambda: hosts.made[0].faults == ["slow"])
    market.emulator.faults.disarm("slow-host")
    until(lambda: hosts.made[0].faults == ["slow", "slow off"])


def test_a_contract_ends_is_stopped_and_starts_no_more(market, plain):
    market.arm("contract-ends")
    number = plain.running()
    until(lambda: plain.show(number)["intended_status"] == "stopped")
    ends = market.emulator.get(number).ends
    assert plain.show(number)["end_date"] == pytest.approx(market.emulator.clock.on_the_wire(ends))
    assert market.emulator.clock.now() >= ends
    assert 0 < rate(market, number) < 0.05
    start = plain.http.put(f"/api/v0/instances/{number}/", json={"state": "running"})
    assert start.json()["success"] is False
    until(lambda: market.emulator.clock.now() > ends + 3600)
    assert plain.show(number)["actual_status"] == "exited"


def test_a_price_rises_and_what_ran_before_is_billed_as_agreed(market, plain):
    number = plain.running()
    before = plain.show(number)["dph_base"]
    market.arm("price-rises-later", instance="chat-0")
    until(lambda: plain.show(number)["dph_base"] == pytest.approx(1.5 * before))
    assert pending(plain) == []


def test_a_price_rise_is_announced_and_the_price_stays(market, plain):
    number = plain.running()
    before = plain.show(number)["dph_base"]
    assert pending(plain) == []
    market.arm("price-rise-announced", instance="chat-0")
    until(lambda: pending(plain))
    [row] = pending(plain)
    assert row["contract_id"] == number
    assert (
        row["new_gpu_costpersec"]
        == pytest.approx(1.5 * row["old_gpu_costpersec"])
        == pytest.approx(1.5 * before / 3600)
    )
    assert row["contract_end_date"] == pytest.approx(plain.show(number)["end_date"])
    assert plain.show(number)["dph_base"] == before


def pending(plain):
    return plain.http.get("/api/v0/instances/pending-price-increases/").json()["pending_price_increases"]
