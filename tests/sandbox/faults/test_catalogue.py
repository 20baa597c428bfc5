"""Every fault in the list is played by somebody, in the room that the list names."""

from __future__ import annotations

import inspect

import pytest

from sandbox.faults import FAULTS
from sandbox.hetzner import faults as hetzner
from sandbox.hosts.faults import FAULTS as PLAYED_BY_HOSTS
from sandbox.market.faults.answers import CANNED, LIMITED, OF_AN_INSTANCE, OUTAGES
from sandbox.market.faults.instance_faults import INSTANCE_FAULTS
from sandbox.market.faults.rents import RACES
from sandbox.market.faults.replies import GARBLED
from sandbox.services.store_faults import REFUSALS

# Each has one place of its own in the market's rules, which the tests beside them show.
ELSEWHERE = {
    "never-boots", "no-credit", "stopped-contract", "price-rises", "duplicate-instance", "lying-empty-list", "stale-list",
    "list-row-missing", "list-page-missing", "log-empty", "log-late", "log-cut", "start-unavailable", "credit-exhausted",
    "odd-offer", "odd-instance", "log-missing", "no-credit-but-rented", "late-in-reads",
}  # fmt: skip
TABLES = (CANNED, LIMITED, OUTAGES, OF_AN_INSTANCE, INSTANCE_FAULTS, RACES, GARBLED, ELSEWHERE)
ON_THE_WAY = {
    "store-slow",
    "store-slow-for-all",
    "store-times-out",
    "store-bucket-late",
    "store-has-tags",
    "store-wants-md5",
    "store-truncated",
    "store-flipped",
}


def names(room):
    return {name for name, fault in FAULTS.items() if fault.room == room}


def test_the_market_and_its_machines():
    tabled = [name for table in TABLES for name in table]
    assert len(tabled) == len(set(tabled))
    on_host = {name for name, fault in FAULTS.items() if fault.on_host}
    assert set(tabled) | on_host == names("market") | names("host") | names("vllm")
    assert not set(tabled) & on_host


@pytest.mark.parametrize("fault", [fault for fault in FAULTS.values() if fault.on_host], ids=lambda fault: fault.name)
def test_hosts_know_what_they_are_asked_for(fault):
    name, options = fault.on_host
    inspect.signature(PLAYED_BY_HOSTS[name]).bind(None, **options)
    inspect.signature(PLAYED_BY_HOSTS[name]).bind(None, on=False)


def test_the_store():
    at_rest = {name for name, fault in FAULTS.items() if fault.at_once}
    assert names("store") == {*REFUSALS, *ON_THE_WAY} | at_rest


def test_the_hetzner_api():
    played = {*hetzner.ANY, *hetzner.CHANGES, hetzner.CUT_OFF, *hetzner.LOST, *hetzner.BY_ACTIONS}
    assert names("hetzner") == played
