"""What goes wrong in the moment of a rental."""

from __future__ import annotations

import pytest

from sandbox.market.faults.rents import RISE


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ("offer-taken", 410, "no_such_ask"),
        ("offer-taken-404", 404, "invalid_args"),
        ("offer-taken-400", 400, "no_such_ask"),
    ],
)
def test_somebody_else_was_faster(market, plain, fault, status, error):
    market.arm(fault)
    first = plain.offers()[0]["id"]
    answer = plain.rent()
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert market.emulator.all() == []
    assert first not in {offer["id"] for offer in plain.offers()}


def test_no_credit(market, plain):
    market.arm("no-credit")
    answer = plain.rent()
    assert (answer.status_code, answer.json()["error"]) == (400, "insufficient_credit")
    assert market.emulator.all() == []


@pytest.mark.parametrize("fault", ["stopped-contract", "no-credit-but-rented"])
def test_a_refusal_leaves_a_stopped_contract_that_costs_its_disk(market, plain, fault):
    market.arm(fault)
    answer = plain.rent()
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    left = plain.show(answer.json()["new_contract"])
    assert (left["intended_status"], left["label"]) == ("stopped", "gpu-fleet/abc/chat-0")
    assert market.emulator.usd_per_hour() > 0


def test_the_price_rises_after_the_rental(market, plain):
    market.arm("price-rises")
    offer = plain.offers()[0]
    assert plain.show(plain.rented())["dph_base"] == pytest.approx(offer["dph_base"] * RISE)


def test_two_instances_under_one_label(market, plain):
    market.arm("duplicate-instance")
    number = plain.rented()
    found = plain.page()["instances"]
    assert len(found) == 2
    assert {one["label"] for one in found} == {"gpu-fleet/abc/chat-0"}
    assert len({one["machine_id"] for one in found}) == 2
    assert number in {one["id"] for one in found}
