"""The market's pure rules: filters, meter, thresholds, clock, machines, ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.hosts.spec import HostSpec, NoHost, Traffic
from sandbox.market.charges import page
from sandbox.market.ids import first_id
from sandbox.market.protocol.filters import FilterInvalid, fulfils, search
from sandbox.market.protocol.thresholds import Thresholds
from sandbox.market.records import instances
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import GIGABYTE, Contract, Request
from sandbox.market.records.machines import generate
from sandbox.market.records.meter import Meter
from sandbox.market.records.offers import row

CLOCK = MarketClock(start=1e9, real=lambda: 0.0)
ROWS = [row(machine, 100 + index, CLOCK, 20.0) for index, machine in enumerate(generate(1))]
NUMBERS = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6))


@given(NUMBERS, NUMBERS)
def test_numbers_compare_alike_as_text_and_as_numbers(have, want):
    for operator, expected in (("eq", have == want), ("neq", have != want), ("gt", have > want), ("lte", have <= want)):
        assert fulfils(have, {operator: want}) is expected
        assert fulfils(have, {operator: repr(want)}) is expected


@given(NUMBERS, st.lists(NUMBERS, max_size=5))
def test_in_and_notin_are_opposites(have, wanted):
    assert fulfils(have, {"in": wanted}) is not fulfils(have, {"notin": wanted})


@given(st.floats(0.1, 5.0), st.integers(0, 100))
def test_every_row_found_fulfils_the_query_and_the_order(price, limit):
    query = {"dph_total": {"lte": str(price)}, "order": [["dph_total", "asc"]], "limit": limit, "num_gpus": {"eq": "1"}}
    found = search(ROWS, query)
    prices = [one["dph_total"] for one in found]
    matching = [one for one in ROWS if one["dph_total"] <= price and one["num_gpus"] == 1]
    assert prices == sorted(one["dph_total"] for one in matching)[: min(limit, 64)]


def test_names_that_mean_other_fields():
    verified = search(ROWS, {"verified": {"eq": True}})
    assert {one["verification"] for one in verified} == {"verified"}
    american = search(ROWS, {"geolocation": {"in": ["US"]}})
    assert american
    assert all(one["geolocation"].endswith(", US") for one in american)
    assert search(ROWS, {"id": {"eq": 100}}) == []
    assert [one["id"] for one in search(ROWS, {"ask_contract_id": {"eq": "100"}})] == [100]
    modern = search(ROWS, {"driver_version": {"gte": "570000000"}})
    assert modern
    assert all(one["driver_version"] >= "570" for one in modern)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"gpu_name": "RTX 4090"}, "q.gpu_name: Input should be a valid dictionary"),
        ({"num_gpus": {"is": 1}}, "Unknown operator is"),
        ({"num_gpus": {"eq": "many"}}, "'many' is not a number"),
        ({"num_gpus": {"in": 1}}, "valid list"),
        ({"gpu_name": {"gt": 5}}, "cannot be compared"),
        ({"order": "dph_total"}, "valid list"),
        ({"limit": "few"}, "not a number"),
    ],
)
def test_bad_queries_are_refused_in_words(query, words):
    with pytest.raises(FilterInvalid, match=words):
        search(ROWS, query)


def test_the_market_has_the_spread_that_a_search_needs():
    machines = generate(1)
    assert machines == generate(1) != generate(2)
    assert len({machine.machine_id for machine in machines}) == len(machines) > 300
    prices = [machine.usd_per_gpu_hour for machine in machines if machine.gpu.name == "RTX 4090"]
    assert len(prices) > 50
    assert 0.25 <= min(prices) < 0.32
    assert 0.5 < max(prices) <= 0.6
    assert all(0.1 <= machine.storage_cost <= 0.3 and 50 <= machine.inet_down <= 5000 for machine in machines)
    assert all(20 <= machine.boot_seconds <= 90 for machine in machines)


@given(
    st.lists(st.tuples(st.sampled_from(["run", "halt", "reprice"]), st.floats(0, 1e5)), max_size=12), st.floats(0, 1e5)
)
def test_the_meter_bills_gpu_while_running_and_disk_while_it_exists(steps, tail):
    meter, now, running, price, due = Meter(0.36, 0.072, 0.0), 0.0, False, 0.36, 0.0
    for word, passed in steps:
        now += passed
        due += price * passed / 3600 if running else 0
        if word == "reprice":
            price *= 1.5
            meter.reprice(now, price)
        else:
            getattr(meter, word)(now)
            running = word == "run"
    assert meter.usd_per_hour() == pytest.approx(0.072 + (price if running else 0))
    now += tail
    due += price * tail / 3600 if running else 0
    assert sum(meter.items(now).values()) == pytest.approx(due + now * 0.072 / 3600)
    meter.end(now)
    meter.run(now)
    assert meter.usd_per_hour() == 0
    assert sum(meter.items(now + 1e6).values()) == pytest.approx(due + now * 0.072 / 3600)


def test_bytes_are_billed_by_direction_at_the_machines_price_and_go_on_the_bill():
    machine = next(one for one in generate(1) if one.traffic_cost == 0.02)
    host = NoHost(HostSpec(1, "host", "img", {}, "", (), (), 1, 1, "", 1, 1, "", 0.0))
    contract = Contract(1, machine, Request(image="img"), Meter(0.36, 0.072, 0.0), 0.0, 0.0)
    assert contract.items(3600)["bwd"] == contract.items(3600)["bwu"] == 0

    contract.host, host.traffic = host, Traffic(down=15 * GIGABYTE, up=GIGABYTE // 2)

    assert contract.items(3600) == pytest.approx({"gpu": 0, "disk": 0.072, "bwd": 0.3, "bwu": 0.01})
    assert contract.usd(3600) == pytest.approx(0.382)
    days = {"select_filters": '{"day": {"gte": 0, "lte": 9e9}}'}
    [row] = page([contract], days, MarketClock(start=3600.0, real=lambda: 0.0))["results"]
    assert row["amount"] == pytest.approx(0.382)
    assert {item["type"]: item["amount"] for item in row["items"]} == {"gpu": 0, "disk": 0.072, "bwd": 0.3, "bwu": 0.01}


class Seconds:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_thresholds_shrink_with_the_time_scale_and_hold_for_one_identity_and_endpoint():
    real = Seconds()
    thresholds = Thresholds(10.0, real)
    assert thresholds.check("a", "create") is None
    assert thresholds.check("b", "create") is None
    assert thresholds.check("a", "destroy") is None
    real.now += 0.44
    assert thresholds.check("a", "create") is not None
    real.now += 0.02
    assert thresholds.check("a", "create") is None
    assert thresholds.calls == {"create": 4, "destroy": 1}
    assert thresholds.too_early == 1


def test_refusals_take_every_form_that_was_seen():
    thresholds = Thresholds(1.0, Seconds())
    forms = [thresholds.refusal("create", 2.5) for _ in range(4)]
    assert [form.body is None for form in forms].count(True) == 1
    assert [form.retry_after for form in forms].count(2.5) == 1
    assert any((form.body or {}).get("retry_after") == 2.5 for form in forms)
    assert any(set(form.body or {}) == {"detail"} for form in forms)
    assert all("threshold=4.5" in form.text for form in forms)


def test_thresholds_that_are_not_enforced_let_everything_through():
    thresholds = Thresholds(1.0, Seconds(), enforced=False)
    assert [thresholds.check("a", "create") for _ in range(5)] == [None] * 5


def test_the_clock_runs_faster_than_ours():
    real = Seconds()
    clock = MarketClock(30.0, start=1000.0, real=real)
    real.now += 2
    assert clock.now() == 1060.0
    with pytest.raises(ValueError, match="not above 0"):
        MarketClock(0)


@given(st.integers(1_790_000_000, 2_000_000_000), st.integers(1, 10**6))
def test_ids_of_a_later_market_lie_above_those_of_an_earlier_one(start, seconds):
    given_out_meanwhile = seconds * 20 - 1
    assert first_id(start + seconds) > first_id(start) + given_out_meanwhile - 1


@given(st.floats(min_value=0.01, max_value=1000), st.floats(min_value=0, max_value=1e6), st.floats(-1e6, 1e6))
def test_what_goes_over_the_wire_is_real_time(scale, passed, away):
    real = Seconds()
    clock = MarketClock(scale, 1_700_000_000.0, real)
    real.now += passed
    assert clock.on_the_wire(clock.now()) == pytest.approx(1_700_000_000 + passed, abs=1e-3)
    later = clock.on_the_wire(clock.now() + away * scale)
    assert later - clock.on_the_wire(clock.now()) == pytest.approx(away, abs=1e-2)


def test_offers_instances_and_charges_tell_real_seconds():
    real = Seconds()
    clock = MarketClock(30.0, 1_700_000_000.0, real)
    machine = generate(1)[0]
    contract = Contract(1, machine, Request(image="img"), Meter(0.36, 0.072, clock.now()), clock.now(), clock.now())
    contract.up_since = clock.now()
    contract.meter.run(clock.now())
    real.now += 60.0
    shown, offer = instances.row(contract, clock), row(machine, 7, clock, 8.0)
    [charge] = page([contract], {"select_filters": '{"day": {"gte": 1699999000, "lte": 1700000100}}'}, clock)["results"]
    assert (shown["start_date"], shown["duration"], shown["uptime_mins"]) == pytest.approx((1_700_000_000, 60, 1))
    assert shown["end_date"] - shown["start_date"] == pytest.approx(machine.lease_seconds / 30)
    assert (offer["duration"], offer["end_date"]) == pytest.approx(
        (machine.lease_seconds / 30, 1_700_000_060 + machine.lease_seconds / 30)
    )
    assert (charge["start"], charge["end"]) == pytest.approx((1_700_000_000, 1_700_000_060))
    assert charge["amount"] == pytest.approx((0.36 + 0.072) * 60 * 30 / 3600, abs=1e-3)  # money is of the market's time
