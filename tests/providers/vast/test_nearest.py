"""A refusal says which one wish would have to give; following it opens what it counts."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from providers.vast import offers
from providers.vast.nearest import refusal
from tests.doubles.market import offer
from tests.providers.vast.test_offers import WISHES


def test_it_names_the_nearest_miss_and_the_price_that_would_do() -> None:
    dear = [offer(1, dph_base=0.61), offer(2, dph_base=0.9), offer(3, dph_base=0.7, reliability2=0.5)]

    text = refusal(dear, WISHES)

    assert "offer 1: costs $0.6" in text
    assert "raise maxUsdPerHour from 0.5 to 0.619 (1 machine would match)" in text
    assert "replaces no instance that runs" in text


def test_the_price_opens_as_many_machines_as_are_wanted() -> None:
    dear = [offer(n, dph_base=0.6 + n / 10) for n in range(1, 6)]

    assert "to 0.909 (3 machines would match)" in refusal(dear, replace(WISHES, instances=3))
    assert "to 1.109 (5 machines would match, and 8 instances are wanted)" in refusal(
        dear, replace(WISHES, instances=8)
    )


def test_a_machine_in_two_slices_counts_once() -> None:
    slices = [offer(n, machine_id=7, dph_base=0.6 + n / 10) for n in range(1, 4)]

    assert "(1 machine would match, and 3 instances are wanted)" in refusal(slices, replace(WISHES, instances=3))


def test_it_says_when_nobody_has_such_a_gpu_and_what_looks_like_it() -> None:
    text = refusal([], replace(WISHES, gpu_names=("RTX 4O90",)))

    assert "nobody on the market lists 1 x RTX 4O90" in text
    assert "RTX 4O90 is no name that is known; near are RTX 4090" in text
    assert "gpu.name" in text


def test_an_old_driver_is_named_with_what_would_do() -> None:
    text = refusal([offer(1, cuda_max_good=12.4)], replace(WISHES, min_cuda=13.0))

    assert "offer 1: supports CUDA 12.4, 13 is the least" in text
    assert "take an image for CUDA 12.4 or older" in text


FAR = st.lists(
    st.tuples(st.sampled_from(["dph_base", "reliability2", "inet_down", "disk_space"]), st.floats(0, 1)),
    min_size=1,
    max_size=12,
)


@given(FAR, st.integers(1, 5))
def test_following_the_hint_opens_exactly_what_it_counts(far: list[tuple[str, float]], wanted: int) -> None:
    spread = {
        "dph_base": lambda x: 0.51 + x,
        "reliability2": lambda x: 0.9 * x,
        "inet_down": lambda x: 199 * x,
        "disk_space": lambda x: 47 * x,
    }
    rows = [offer(n, **{"dph_base": 0.3, key: spread[key](x)}) for n, (key, x) in enumerate(far, 1)]
    wishes = replace(WISHES, instances=wanted)

    text = refusal(rows, wishes)

    found = re.search(r"(?:raise|lower) (\w+)(?: from \S+)? to ([\d.]+) \((\d+) machine", text)
    assert found is not None
    fields = {
        "maxUsdPerHour": "max_usd_per_hour",
        "reliability": "min_reliability",
        "downloadMbps": "min_download_mbps",
        "diskGb": "disk_gb",
    }
    followed = replace(wishes, **{fields[found[1]]: float(found[2])})
    if found[1] != "diskGb":  # less disk is cheaper besides, which may open more
        assert len(offers.rank(rows, followed)) == int(found[3])
    assert len(offers.rank(rows, followed)) >= int(found[3]) >= 1


def test_an_older_image_opens_those_machines_alone_whose_drivers_support_it() -> None:
    rows = [offer(n, cuda_max_good=cuda) for n, cuda in enumerate((12.2, 12.4, 12.8, 12.8, None), 1)]

    assert "take an image for CUDA 12.8 or older, or set minCuda where you know better (2 machines" in refusal(
        rows, replace(WISHES, min_cuda=13.0)
    )
    assert "for CUDA 12.4 or older" in refusal(rows, replace(WISHES, min_cuda=13.0, instances=3))
