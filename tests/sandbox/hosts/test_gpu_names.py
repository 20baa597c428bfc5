"""A rented GPU is recognised on the host, and no other passes for it, although driver and market spell differently.

Two tables that know nothing of each other are compared: the sandbox's of drivers, and the product's.
"""

import pytest

from bootstrap.gpu_names import market_names, shows
from sandbox.hosts.cards import CARDS, supported
from sandbox.hosts.inside.nvidia_smi import UMD_SINCE
from sandbox.market.records.machines import DRIVERS, GPUS, NEWEST_DRIVER, RARE, generate


def test_every_card_of_the_market_has_a_driver_that_knows_it() -> None:
    assert {gpu.name for gpu in (*GPUS, *RARE)} <= CARDS.keys()
    assert all(f"{gpu.capability / 100:.1f}" == CARDS[gpu.name][1] for gpu in (*GPUS, *RARE))


@pytest.mark.parametrize("market", CARDS)
def test_a_card_passes_as_itself_and_as_no_other(market: str) -> None:
    passing = [name for name in CARDS if shows(name, CARDS[market][0])]

    assert passing == [market]


@pytest.mark.parametrize("market", CARDS)
def test_the_drivers_own_name_is_a_wish_for_the_card(market: str) -> None:
    assert market_names(CARDS[market][0]) == (market,)
    assert market_names(market.replace(" ", "_").lower()) in ((market,), market_names(market))


@pytest.mark.parametrize(("driver", "cuda"), [*DRIVERS, NEWEST_DRIVER])
def test_drivers_support_what_the_market_says(driver: str, cuda: float) -> None:
    assert float(supported(driver)) == cuda


def test_the_market_offers_drivers_with_either_banner() -> None:
    branches = {int(one.driver.partition(".")[0]) for one in generate(1)}

    assert min(branches) < UMD_SINCE <= max(branches)
