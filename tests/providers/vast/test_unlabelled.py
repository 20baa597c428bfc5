"""An instance whose label the market leaves out for a while hides from nobody: no second one is rented over it."""

import pytest

from providers.vast.api import errors
from providers.vast.api.offer import Offer
from providers.vast.limits import Limits
from providers.vast.renting.adopt import Adoption
from providers.vast.renting.rent import rent
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import NoMarks
from providers.vast.search.requirements import Requirements
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer

LABEL = "gpu-fleet/s/chat-0"
REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)
BODY = {"image": "image", "disk": 20, "label": LABEL}


class Nameless(FakeMarket):
    """A market that shows no labels for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(FakeClock())
        self.until = self.clock.now + seconds

    def passes(self) -> None:
        super().passes()
        for row in self.rows.values():
            row.says({"label": None} if self.clock.now < self.until else {})


def take_over(market: FakeMarket) -> tuple[int | None, list[str]]:
    reported: list[str] = []
    report_progress = lambda _phase, text: reported.append(text)  # noqa: E731
    kept = Adoption(Renter(market, market.clock, Limits()), LABEL, NoMarks(), report_progress).adopt(
        market, "image", REQUIREMENTS
    )
    return (kept.id if kept else None), reported


def test_one_whose_label_comes_back_is_adopted() -> None:
    market = Nameless(8)
    number = market.add(LABEL, offer(1))

    kept, reported = take_over(market)

    assert kept == number
    assert reported[0] == f"instance {number} shows no label, and may be ours: looking again before anything is rented"


def test_one_without_a_label_for_good_is_somebody_elses_and_stays() -> None:
    market = Nameless(1e9)
    number = market.add("", offer(1))

    kept, reported = take_over(market)

    assert kept is None
    assert number in market.rows
    assert "taken for somebody else's" in reported[-1]
    assert market.clock.now <= 20


@pytest.mark.parametrize(("image", "gpu"), [("another", "RTX 4090"), ("image", "H100 SXM")])
def test_one_that_cannot_be_ours_is_not_waited_for(image: str, gpu: str) -> None:
    market = Nameless(1e9)
    market.add("", offer(1, gpu_name=gpu), image=image)
    began = market.clock.now

    assert take_over(market) == (None, [])
    assert market.clock.now == began


def lost(market: FakeMarket) -> None:
    """Let the reply of the next rent get lost after it took effect."""

    def drop(_number: int) -> None:
        raise errors.OutcomeUnknown("rent", "ReadTimeout")

    market.after["rent"] = [drop]


def asked(market: FakeMarket) -> tuple[Offer, list[Offer]]:
    return market.offers[0], market.offers[1:]


def test_no_second_one_is_rented_over_one_whose_label_does_not_show() -> None:
    market = Nameless(1e9)
    first, _others = asked(market)
    lost(market)

    with pytest.raises(errors.OutcomeUnknown) as raised:
        rent(Renter(market, market.clock, Limits()), first, BODY)

    [number] = market.rows
    assert f"instance {number} on the machine that was asked for shows no label" in str(raised.value)
    assert f"vastai destroy instance {number} -y" in str(raised.value)
    assert [call for call, _ in market.calls].count("rent") == 1


def test_a_label_that_shows_late_settles_the_rent() -> None:
    market = Nameless(60)
    first, _others = asked(market)
    lost(market)

    assert rent(Renter(market, market.clock, Limits()), first, BODY) in market.rows
    assert len(market.rows) == 1
