"""One odd row fails no list and no search: it is left out, counted, and in doubt where it is ours."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.rentals.teardown import Teardown, end_rentals
from providers.vast.api import errors
from providers.vast.api.client import VastClient
from providers.vast.api.instance import Instance, all_known, unsound
from providers.vast.api.offer import Offer
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.api.response_cache import ResponseCache
from providers.vast.api.responses import Charge
from providers.vast.api.rows import Listing, describe_odd_rows, read, set_aside
from providers.vast.limits import Limits
from providers.vast.pulumi_state import StackState
from providers.vast.renting.look import find, is_absent
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from providers.vast.search.search import candidates
from providers.vast.search.why_not import NoMatchingOffer
from sandbox.market.records import instances as emulated
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract, Request
from sandbox.market.records.machines import generate
from sandbox.market.records.meter import Meter
from sandbox.market.records.offers import row as offer_row
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer

OURS = "gpu-fleet/abc/chat-0"
MACHINE = generate(1)[0]
TIME = MarketClock()
OFFER = offer_row(MACHINE, 7, TIME, 8.0)
ROW = {
    **emulated.row(
        Contract(1, MACHINE, Request(image="img:1", label=OURS), Meter(0.3, 0.01, 0.0), 0.0, 60.0, label=OURS), TIME
    ),
    "ports": {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": "40022"}]},
}
ODD_VALUES: st.SearchStrategy[Any] = st.sampled_from([None, "", "?", [], {}, -1, True])
LISTED = {"id": 1, "label": OURS, "ports": {"22/tcp": [{"HostPort": "many"}]}}  # does not parse


def wire(*rows: dict[str, Any], folder: Path | None = None, ids: list[int] | None = None) -> VastClient:
    """A client of a market that lists these rows, as offers and as instances."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v0/bundles/":
            return httpx.Response(200, json={"offers": rows})
        return httpx.Response(200, json={"instances": rows, "instances_found": len(rows), "total_instances": len(rows)})

    shared = ResponseCache(folder) if folder else None
    transport = httpx.MockTransport(answer)
    told_ids = [] if ids is None else ids
    return VastClient(
        "http://market",
        "key",
        NoRateLimit(),
        FakeClock(),
        transport,
        shared=shared,
        on_list=lambda rows: told_ids.extend(row.id for row in rows),
    )


@given(st.sampled_from(sorted(OFFER)), ODD_VALUES)
def test_an_offer_with_any_field_odd_leaves_the_others(field: str, value: Any) -> None:
    found = wire({**OFFER, field: value}, {**OFFER, "id": 8}).search({})

    assert found[-1].id == 8
    assert len(found) + len(found.odd) == 2


@given(st.sampled_from(sorted(ROW)), ODD_VALUES)
def test_an_instance_with_any_field_odd_leaves_the_others(field: str, value: Any) -> None:
    found = wire({**ROW, field: value}, {**ROW, "id": 8}).instances()

    assert found[-1].id == 8
    assert len(found) + len(found.odd) == 2


@given(ODD_VALUES)
def test_an_instance_with_odd_ports_leaves_the_others(value: Any) -> None:
    for ports in ({"22/tcp": value}, {"22/tcp": [value]}, {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": value}]}):
        found = wire({**ROW, "ports": ports}, {**ROW, "id": 8}).instances()

        assert found[-1].id == 8
        assert len(found) + len(found.odd) == 2


@pytest.mark.parametrize("field", sorted(set(ROW) - {"id"}))
def test_an_instance_with_a_null_in_any_field_is_read(field: str) -> None:
    assert [one.id for one in wire({**ROW, field: None}).instances()] == [1]


@pytest.mark.parametrize("number", ["", None])
def test_a_port_without_a_number_is_not_mapped(number: str | None) -> None:
    bound = {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": number}, {"HostIp": None, "HostPort": "40022"}]}
    [found] = wire({**ROW, "ports": bound}).instances()

    assert found.address(22) == ("127.0.0.1", 40022)


def test_a_label_that_is_a_number_is_text() -> None:
    assert [one.label for one in wire({**ROW, "label": 4711}).instances()] == ["4711"]


def test_facts_that_are_missing_do_not_speak_against_an_instance() -> None:
    bare = Instance.model_validate({**ROW, "num_gpus": None, "disk_space": None, "gpu_name": MACHINE.gpu.name})

    assert unsound(bare, "img:1", (MACHINE.gpu.name,), 4, 500) == []


@pytest.mark.parametrize("row", [None, 7, "?", []])
def test_a_row_that_is_no_object_is_left_out(row: Any) -> None:
    found = read([row, {"id": 2}], Instance)

    assert [one.id for one in found] == [2]
    assert [one.odd for one in set_aside(found)] == ["row"]


def test_rows_pass_between_processes_with_what_was_set_aside(tmp_path: Path) -> None:
    rows = ({**OFFER, "num_gpus": None}, {**OFFER, "id": 8})
    asked, shared = (wire(*rows, folder=tmp_path).search({}) for _ in range(2))
    assert [one.id for one in shared] == [8]
    assert shared.odd == asked.odd == Listing([], asked.odd).odd
    assert json.dumps(shared.dumped())

    listed = [wire(LISTED, {"id": 2}, folder=tmp_path).instances() for _ in range(2)]
    assert [[one.id for one in found] for found in listed] == [[2], [2]]
    assert [found.odd[0].label for found in listed] == [OURS, OURS]


def test_what_is_left_out_is_no_news_to_the_breaker() -> None:
    ids: list[int] = []
    wire(LISTED, {"id": 2}, ids=ids).instances()
    assert sorted(ids) == [1, 2]

    ids.clear()
    wire({**LISTED, "id": None}, {"id": 2}, ids=ids).instances()
    assert ids == []  # the row without an id may be any of them


@pytest.mark.parametrize("folder", [False, True])
def test_a_row_under_our_label_is_a_doubt_about_that_instance_alone(tmp_path: Path, folder: bool) -> None:
    market = wire(LISTED, {"id": 2, "label": "gpu-fleet/abc/chat-1"}, folder=tmp_path if folder else None)

    assert [one.id for one in market.instances("gpu-fleet/abc/chat-1")] == [2]
    with pytest.raises(errors.OutcomeUnknown, match="row of 1 of another shape, at: ports"):
        market.instances(OURS)
    with pytest.raises(errors.OutcomeUnknown):
        find(market, 1)
    with pytest.raises(errors.OutcomeUnknown):
        is_absent(Renter(market, FakeClock(), Limits()), 1)
    assert find(market, 2) is not None


def test_all_that_can_be_known_of_a_list_has_the_rows_set_aside() -> None:
    market = wire(LISTED, {"id": 2}, {"id": None, "label": OURS})

    assert [(one.id, one.label) for one in all_known(market.instances())] == [(2, None), (1, OURS)]


def test_the_end_of_a_stack_gives_back_what_does_not_parse() -> None:
    market = FakeMarket(FakeClock())
    number = market.rent(1, {"label": OURS, "image": "img:1", "disk": 20})

    def odd_once(*_words: object) -> Listing[Instance]:
        del market.instead["list"]
        return read([{**LISTED, "id": number}], Instance)

    market.instead["list"] = odd_once
    end_rentals(
        Renter(market, market.clock, Limits()), Teardown(["abc"]), lambda: [StackState("dev", "abc")], lambda *_: None
    )

    assert market.rows == {}


def test_the_search_says_once_what_it_left_out() -> None:
    market = FakeMarket(FakeClock())
    listed = read([{**OFFER, "num_gpus": None}, *(offer(n).model_dump() for n in (1, 2))], Offer)
    market.instead["search"] = lambda _truth, _query: listed
    requirements = Requirements(("RTX 4090",), 1, 5.0, 20, 1)
    reported: list[str] = []

    found, _query = candidates(market, requirements, {}, 0.0, lambda _phase, text: reported.append(text))

    assert [one.id for one in found] == [1, 2]
    assert reported == ["1 offer is left out, because the market's answer has no usable num_gpus"]


def test_a_refusal_says_what_was_left_out() -> None:
    market = FakeMarket(FakeClock())
    market.instead["search"] = lambda _truth, _query: read([{**OFFER, "gpu_ram": None}], Offer)

    with pytest.raises(NoMatchingOffer, match=r"1 offer is left out, .* no usable gpu_ram"):
        candidates(market, Requirements(("RTX 4090",), 1, 5.0, 20, 1), {}, 0.0, lambda _phase, _text: None)


def test_several_are_told_in_one_sentence() -> None:
    odd = read([{"id": 1}, {"id": "?"}], Offer).odd

    assert describe_odd_rows((), "offer") == ""
    assert describe_odd_rows(odd, "offer").startswith("2 offers are left out, ")


CHARGE = {"source": "instance-7", "start": 1.0, "end": 2.0, "amount": 0.5, "metadata": {"label": OURS}, "items": []}


@given(st.sampled_from(sorted(CHARGE)), ODD_VALUES)
def test_a_charge_with_any_field_odd_leaves_the_others(field: str, value: Any) -> None:
    rows = [{**CHARGE, field: value}, {**CHARGE, "source": "instance-8"}]
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"results": rows}))
    found = VastClient("http://market", "key", NoRateLimit(), FakeClock(), transport).charges(0, 9)

    assert found[-1].instance_id == 8


def test_a_charge_without_metadata_and_items_is_read() -> None:
    [found] = read([{**CHARGE, "metadata": None, "items": None}], Charge)

    assert (found.metadata.label, found.items) == (None, ())
