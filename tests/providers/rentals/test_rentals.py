"""The end of a stack's rentals: its own go, known or not; those of others stay; what cannot be asked is an error."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers.rentals.ending import NotAsked, end_rentals
from providers.rentals.resource import RentalsProvider
from providers.vast import errors
from providers.vast.instances import Instance
from providers.vast.limits import Limits
from providers.vast.rows import Listing, read
from sandbox.testing import running_market
from tests.doubles.clock import FakeClock
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from tests.doubles.market import FakeMarket, offer, raising


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


def end(market: FakeMarket, said: list[str] | None = None) -> None:
    words = [] if said is None else said
    end_rentals(market, market.clock, Limits(), "abc", lambda phase, text: words.append(f"{phase}: {text}"))


def test_what_carries_the_id_is_given_back_and_nothing_else(market: FakeMarket) -> None:
    ours = [market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(2)]
    others = [market.add(label, offer(9)) for label in ("gpu-fleet/abcd/chat-0", "gpu-fleet/abc", "mine")]
    said: list[str] = []

    end(market, said)

    assert sorted(market.rows) == others
    assert [f"instance {number}" in " ".join(said) for number in ours] == [True, True]
    assert said[-1] == "confirm gone: nothing is rented under gpu-fleet/abc/ any more"


def test_a_market_that_cannot_be_asked_is_no_empty_one(market: FakeMarket) -> None:
    market.before["list"] = [raising(errors.CredentialsRefused("the key is not accepted"))]

    with pytest.raises(NotAsked, match="could not be asked: the key is not accepted"):
        end(market)


def test_what_does_not_go_is_said(market: FakeMarket) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    market.destroy = lambda _number: None  # type: ignore[method-assign]

    with pytest.raises(errors.StillRented, match=f"INSTANCE {number} MAY STILL BE RENTED"):
        end(market)


LISTED = {"id": 1, "label": "gpu-fleet/abc/chat-7"}
DOUBTFUL = [
    {**LISTED, "id": None},
    {**LISTED, "label": ["gpu-fleet/abc/chat-7"]},
    {**LISTED, "id": "x", "label": {}},
    None,
    "row",
]
NOT_OURS = [
    {"id": 2, "label": None, "num_gpus": "x"},
    {"id": 3, "num_gpus": "x"},
    {"id": 4, "label": 17, "num_gpus": "x"},
    {"id": None, "label": "gpu-fleet/other/chat-0"},
    {"id": None, "label": "theirs"},
]


def list_also(market: FakeMarket, rows: list[Any]) -> None:
    """Have the market's list hold these rows, too."""
    honest = market.instances
    market.instances = lambda label=None, age=0.0: Listing(  # type: ignore[method-assign]
        honest(label, age), read(rows, Instance).odd
    )


@pytest.mark.parametrize("row", DOUBTFUL)
def test_a_row_of_which_id_or_label_cannot_be_read_is_no_end(market: FakeMarket, row: Any) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    list_also(market, [row, row])
    said: list[str] = []

    with pytest.raises(NotAsked, match=r"2 rows.*gpu-fleet/abc/.*pulumi destroy"):
        end(market, said)

    assert number not in market.rows  # what can be read goes first
    assert not any("any more" in line for line in said)


@pytest.mark.parametrize("row", NOT_OURS)
def test_a_row_that_is_not_of_the_stack_holds_up_no_destroy(market: FakeMarket, row: Any) -> None:
    list_also(market, [row])
    said: list[str] = []

    end(market, said)

    assert said[-1] == "confirm gone: nothing is rented under gpu-fleet/abc/ any more"


@pytest.fixture
def process() -> Iterator[DynamicProcess]:
    with DynamicProcess(RentalsProvider()) as running:
        yield running


def test_the_life_of_the_resource(process: DynamicProcess) -> None:
    with running_market() as market:
        process.configure({"vastApiKey": market.key})
        inputs = {"market": {"url": market.url, "hostUrl": "", "timeScale": market.time_scale}, "stackId": "abc"}
        assert process.check(inputs).failures == {}

        id_, outs = process.create(inputs)

        assert id_ == "abc"
        assert process.diff(id_, outs, inputs).changes is False
        moved = process.diff(id_, outs, {**inputs, "market": {**inputs["market"], "url": "http://127.0.0.1:1"}})
        assert (moved.changes, moved.replaces) == (True, [])
        assert process.read(id_, outs).id == "abc"
        process.delete(id_, outs)
        assert process.says("rentals  confirm gone")


def test_a_key_that_was_revoked_is_no_empty_account(process: DynamicProcess) -> None:
    with running_market() as market:
        process.configure({"vastApiKey": "revoked"})
        inputs = {"market": {"url": market.url, "timeScale": market.time_scale}, "stackId": "abc"}

        with pytest.raises(ProviderError, match="could not be asked") as raised:
            process.delete("abc", inputs)

        assert "Traceback" not in str(raised.value)
