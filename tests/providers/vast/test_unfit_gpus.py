"""GPUs that vLLM refuses: what would do the same is left out, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from bootstrap import errors as host_errors
from providers.vast.api.offer import Offer
from providers.vast.api.rows import Listing
from providers.vast.create import bring_online
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer
from tests.providers.vast.test_create import ORDER, REQUIREMENTS, FakeBootstrap, online

NO_MEMORY = host_errors.GpuUnfit("ValueError: No available memory for the cache blocks", too_small=True)
TOO_OLD = host_errors.GpuUnfit("ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0")


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


def test_a_gpu_that_cannot_serve_this_is_left_out_where_others_are_named(market: FakeMarket) -> None:
    market.offers = [offer(1), offer(2), offer(3, gpu_name="RTX 5090", dph_base=0.4)]
    order = replace(ORDER, requirements=replace(REQUIREMENTS, gpu_names=("RTX 4090", "RTX 5090")))
    reported: list[str] = []

    served = bring_online(
        Renter(market, market.clock, Limits()),
        order,
        FakeBootstrap(NO_MEMORY),
        lambda phase, text: reported.append(text),
    )

    assert served.instance.gpu_name == "RTX 5090"
    assert served.attempts == 2
    assert list(market.rows) == [served.instance.id]
    assert any("trying RTX 4090 with more memory or RTX 5090" in text for text in reported)


def test_a_gpu_that_cannot_serve_this_stops_where_no_other_is_named(market: FakeMarket) -> None:
    with pytest.raises(host_errors.EngineRefused, match=r"RTX 4090(.|\n)*No available memory(.|\n)*pulumi up"):
        online(market, FakeBootstrap(NO_MEMORY))

    assert market.rows == {}
    assert [call for call, _ in market.calls].count("rent") == 1


def a100(number: int, gb: int, price: float) -> Offer:
    return offer(number, gpu_name="A100 SXM4", gpu_ram=gb * 1024, dph_base=price)


A100S = replace(ORDER, requirements=replace(REQUIREMENTS, gpu_names=("A100 SXM4",)))


def test_wishes_are_kept_by_a_cache() -> None:
    assert hash(replace(REQUIREMENTS, too_small={"A100 SXM4": 40_960.0})) == hash(REQUIREMENTS)


def test_a_name_that_is_sold_in_two_sizes_is_tried_in_the_larger_one(market: FakeMarket) -> None:
    market.offers = [a100(1, 40, 0.2), a100(2, 40, 0.21), a100(3, 80, 0.4)]

    served = bring_online(Renter(market, market.clock, Limits()), A100S, FakeBootstrap(NO_MEMORY), lambda *_: None)

    assert (served.instance.machine_id, served.attempts) == (1003, 2)


def test_the_larger_size_is_found_behind_a_page_of_smaller_ones_and_beside_other_names(market: FakeMarket) -> None:
    class Paged(FakeMarket):
        """Lists the cheapest few that a query asks for, as the market's page does."""

        def search(self, query: dict[str, Any]) -> Listing[Offer]:
            rows = super().search(query)
            least = query.get("gpu_ram", {}).get("gte", 0)
            fits = [row for row in rows if row.gpu_name in query["gpu_name"]["in"] and row.gpu_ram >= least]
            return Listing(sorted(fits, key=lambda row: row.dph_base)[:3])

    paged = Paged(market.clock, [*(a100(number, 40, 0.2) for number in range(1, 9)), a100(9, 80, 0.4)])
    order = replace(ORDER, requirements=replace(REQUIREMENTS, gpu_names=("A100 SXM4", "H200")))

    served = bring_online(Renter(paged, paged.clock, Limits()), order, FakeBootstrap(NO_MEMORY), lambda *_: None)

    assert (served.instance.machine_id, served.attempts) == (1009, 2)


def test_an_adopted_instance_that_is_too_small_leaves_the_larger_ones_of_its_name_in(market: FakeMarket) -> None:
    market.add(ORDER.label, a100(8, 40, 0.2))
    market.offers = [a100(1, 40, 0.2), a100(3, 80, 0.4)]

    served = bring_online(Renter(market, market.clock, Limits()), A100S, FakeBootstrap(NO_MEMORY), lambda *_: None)

    assert (served.instance.machine_id, served.attempts) == (1003, 2)


def test_the_larger_size_that_costs_more_than_is_wished_is_named(market: FakeMarket) -> None:
    market.offers = [a100(1, 40, 0.2), a100(2, 40, 0.21), a100(3, 80, 0.9)]

    with pytest.raises(
        host_errors.EngineRefused,
        match=r"raise maxUsdPerHour(.|\n)*has 41 GB a GPU, on which vLLM could not(.|\n)*pulumi up",
    ):
        bring_online(Renter(market, market.clock, Limits()), A100S, FakeBootstrap(NO_MEMORY), lambda *_: None)

    assert market.rows == {}


def test_an_architecture_that_cannot_serve_this_is_left_out_in_every_size(market: FakeMarket) -> None:
    market.offers = [a100(1, 40, 0.2), a100(3, 80, 0.4), offer(4, gpu_name="RTX 5090", dph_base=0.45)]
    order = replace(ORDER, requirements=replace(REQUIREMENTS, gpu_names=("A100 SXM4", "RTX 5090")))

    served = bring_online(Renter(market, market.clock, Limits()), order, FakeBootstrap(TOO_OLD), lambda *_: None)

    assert (served.instance.gpu_name, served.attempts) == ("RTX 5090", 2)
