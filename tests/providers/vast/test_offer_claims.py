"""Who rents at the same time takes different offers, the cheapest that are left; who rents alone takes the cheapest."""

import os
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.api import errors
from providers.vast.api.breaker import Breaker
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import LISTED_SECONDS, LONGEST_SECONDS, Claims
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.search import prices, ranking
from providers.vast.search.memory_fit import Fit
from providers.vast.search.requirements import Requirements
from providers.vast.search.serving_options import read_options
from tests.doubles.clock import FakeClock
from tests.doubles.full_disk import full_disk
from tests.doubles.market import FakeMarket, offer, raising
from tests.doubles.slow_boots import Serves
from tests.doubles.virtual_time import VirtualTime
from tests.providers.vast.test_memory_fit import LLAMA_8B

REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=9.0, disk_gb=20, weights_gb=1)


def cheapest(*rows: Offer) -> partial[Offer]:
    return partial(ranking.choose, ranking.rank(rows, REQUIREMENTS, one_per_machine=False), REQUIREMENTS, {})


def order(index: int) -> InstanceRequest:
    return InstanceRequest(f"chat-{index}", f"gpu-fleet/abc/chat-{index}", REQUIREMENTS, "image", "true", 8443)


class Slow(FakeMarket):
    """A market that takes 4.5 s for a rent call, and refuses the second caller of an offer."""

    def rent(self, offer_id: int, body: dict[str, object]) -> int:
        self.clock.sleep(4.5)
        return super().rent(offer_id, body)


def slow(rows: list[Offer]) -> Slow:
    clock: Any = VirtualTime()
    return Slow(clock, rows)


def bring(market: FakeMarket, folder: Path, *indexes: int) -> list[Served]:
    def one(index: int) -> Served:
        guarded = GuardedMarket(market, Breaker(folder), market.clock, 5.0, Claims(folder))
        return bring_online(Renter(guarded, market.clock, Limits()), order(index), Serves(), lambda *_: None)

    clock: Any = market.clock
    served: list[Any] = clock.run(*(partial(one, index) for index in indexes))
    assert [error for error in served if isinstance(error, BaseException)] == []
    return served


def steep(count: int) -> list[Offer]:
    return [offer(number, dph_base=0.3 * 1.1**number) for number in range(1, count + 1)]


@pytest.mark.parametrize("index", [0, 1, 49])
def test_a_single_replacement_takes_the_cheapest_whatever_its_index(tmp_path: Path, index: int) -> None:
    market = slow(steep(20))

    [served] = bring(market, tmp_path, index)

    assert served.instance.machine_id == 1001


def test_those_who_rent_at_once_take_the_cheapest_between_them_and_none_is_refused(tmp_path: Path) -> None:
    market = slow(steep(30))

    served = bring(market, tmp_path, *range(20))

    assert sorted(one.instance.machine_id or 0 for one in served) == [1000 + number for number in range(1, 21)]
    assert [call for call, _ in market.calls].count("rent") == 20


def test_those_who_rent_one_after_the_other_each_take_the_cheapest(tmp_path: Path) -> None:
    market = slow(steep(9))

    machines = []
    for index in (7, 3, 5):
        machines += [one.instance.machine_id for one in bring(market, tmp_path, index)]
        market.clock.now += LISTED_SECONDS

    assert machines == [1001, 1002, 1003]


def test_a_neighbour_is_avoided_only_at_nearly_the_same_price() -> None:
    first, slice_, near, dear = (
        offer(1, dph_base=0.30),
        offer(2, machine_id=1001, dph_base=0.30),
        offer(3, dph_base=0.31),
        offer(4, dph_base=0.60),
    )
    claimed = {first.id: first.machine_id}

    assert cheapest(first, slice_, near)({}) == first
    assert cheapest(first, slice_, near)(claimed) == near
    assert cheapest(first, slice_, dear)(claimed) == slice_
    assert cheapest(first, dear)(claimed) == dear
    assert cheapest(first)(claimed) == first  # the other may fail


rows = st.lists(
    st.builds(
        lambda number, machine, price: offer(number, machine_id=machine, dph_base=price),
        st.integers(1, 99),
        st.integers(1, 9),
        st.floats(0.1, 2),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row.id,
)


@given(rows, st.sets(st.integers(1, 99)))
def test_what_is_chosen_costs_nearly_what_the_cheapest_free_one_does(found: list[Offer], taken: set[int]) -> None:
    claimed = {row.id: row.machine_id for row in found if row.id in taken}
    free = [row for row in found if row.id not in claimed] or found

    chosen = cheapest(*found)(claimed)

    assert chosen in free
    price = partial(prices.expected_usd_per_hour, requirements=REQUIREMENTS)
    assert price(chosen) <= ranking.NEAR * min(map(price, free)) * 1.000001


def test_gpus_that_the_model_may_not_fit_are_no_neighbours_of_those_that_it_fits() -> None:
    class Tight(Fit):
        least_mib = 0.0

        def may_be_too_small(self, gpu_mib: float) -> bool:
            return gpu_mib < 20_000

    requirements = replace(REQUIREMENTS, fit=Tight(LLAMA_8B, read_options(LLAMA_8B, ())))
    fits, slice_, small = offer(1), offer(2, machine_id=1001), offer(3, gpu_ram=16_000)
    ranked = ranking.rank([fits, slice_, small], requirements, one_per_machine=False)

    assert ranking.choose(ranked, requirements, {}, {fits.id: fits.machine_id}) == slice_


def seen(claims: Claims, clock: FakeClock, label: str = "another") -> Mapping[int, int]:
    found: list[Mapping[int, int]] = []

    def look(claimed: Mapping[int, int]) -> Offer:
        found.append(claimed)
        return offer(99)

    with pytest.raises(errors.NoCredit), claims.take(label, look, clock):  # leaves no claim of its own behind
        raise errors.NoCredit("just looking")
    return found[0]


def test_a_claim_holds_for_the_block_and_until_no_list_shows_what_was_rented(tmp_path: Path) -> None:
    claims, clock = Claims(tmp_path), FakeClock()

    with claims.take("one", cheapest(offer(1)), clock):
        assert seen(Claims(tmp_path), clock) == {1: 1001}
    assert seen(claims, clock) == {1: 1001}
    clock.now += LISTED_SECONDS

    assert seen(claims, clock) == {}


def test_whoever_begins_anew_is_not_kept_off_by_a_claim_of_its_own(tmp_path: Path) -> None:
    claims, clock = Claims(tmp_path), FakeClock()

    with claims.take("one", cheapest(offer(1)), clock):
        assert seen(claims, clock, "one") == {}


@pytest.mark.parametrize(
    ("error", "left"), [(errors.OfferGone(1, "taken"), {1: 1001}), (errors.NoCredit("no credit"), {})]
)
def test_an_offer_that_was_gone_is_left_alone_and_one_that_was_not_tried_is_free(
    tmp_path: Path, error: Exception, left: dict[int, int]
) -> None:
    claims, clock = Claims(tmp_path), FakeClock()

    with pytest.raises(type(error)), claims.take("one", cheapest(offer(1)), clock):
        raise error

    assert seen(claims, clock) == left


def test_a_process_that_died_claims_nothing_and_one_that_hangs_not_for_ever(tmp_path: Path) -> None:
    claims, clock = Claims(tmp_path), FakeClock()
    dead = subprocess.Popen(["true"])
    dead.wait()
    with claims.take("one", cheapest(offer(1)), clock):
        text = (tmp_path / "claims.json").read_text()
        assert seen(claims, clock) == {1: 1001}
        clock.now += LONGEST_SECONDS
        assert seen(claims, clock) == {}
        clock.now -= LONGEST_SECONDS
        (tmp_path / "claims.json").write_text(text.replace(f'"process":{os.getpid()}', f'"process":{dead.pid}'))

        assert seen(claims, clock) == {}


@pytest.mark.parametrize("text", ["", "{", '{"claims": 7}'])
def test_a_damaged_book_costs_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "claims.json").write_text(text)

    assert seen(Claims(tmp_path), FakeClock()) == {}


def test_a_folder_that_went_away_keeps_nobody_from_renting(tmp_path: Path) -> None:
    with Claims(tmp_path / "gone").take("one", cheapest(offer(1)), FakeClock()) as chosen:
        assert chosen.id == 1


def test_a_full_disk_keeps_nobody_from_renting(tmp_path: Path) -> None:
    with full_disk(), Claims(tmp_path).take("one", cheapest(offer(1)), FakeClock()) as chosen:
        assert chosen.id == 1


def test_a_disk_that_fills_during_a_rent_costs_neither_what_was_rented_nor_the_error(tmp_path: Path) -> None:
    rented = []

    def rent(error: Exception | None = None) -> None:
        with ExitStack() as later, Claims(tmp_path).take("one", cheapest(offer(1)), FakeClock()) as chosen:
            later.enter_context(full_disk())  # room comes back only when the claim has ended
            if error:
                raise error
            rented.append(chosen.id)

    rent()
    with pytest.raises(errors.NoCredit):
        rent(errors.NoCredit("no credit"))

    assert rented == [1]


def test_what_breaks_a_rent_breaks_its_claim_too(tmp_path: Path) -> None:
    market = slow(steep(3))
    market.before["rent"] = [raising(errors.BreakerOpen("stop"))]

    with pytest.raises(AssertionError):
        bring(market, tmp_path, 0)

    assert [one.instance.machine_id for one in bring(market, tmp_path, 1)] == [1001]
