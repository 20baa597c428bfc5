"""A refusal says which one requirement would have to give; following it opens what it counts."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.api.offer import Offer
from providers.vast.search import ranking
from providers.vast.search.image_needs import needs_of
from providers.vast.search.requirements import Requirements
from providers.vast.search.why_not import refusal
from tests.doubles.market import offer
from tests.providers.vast.test_ranking import REQUIREMENTS


def message(near: list[Offer], requirements: Requirements) -> str:
    return refusal(near, requirements).message


def test_it_names_the_nearest_miss_and_the_price_that_would_do() -> None:
    dear = [offer(1, dph_base=0.61), offer(2, dph_base=0.9), offer(3, dph_base=0.7, reliability2=0.5)]

    text = message(dear, REQUIREMENTS)

    assert "offer 1: costs $0.6" in text
    assert "raise maxUsdPerHour from 0.5 to 0.619 (1 machine would match)" in text
    assert "replaces no instance that runs" in text


def test_the_price_opens_as_many_machines_as_are_wanted() -> None:
    dear = [offer(n, dph_base=0.6 + n / 10) for n in range(1, 6)]

    assert "to 0.909 (3 machines would match)" in message(dear, replace(REQUIREMENTS, instances=3))
    assert "to 1.109 (5 machines would match, and 8 instances are wanted)" in message(
        dear, replace(REQUIREMENTS, instances=8)
    )


def test_a_machine_in_two_slices_counts_once() -> None:
    slices = [offer(n, machine_id=7, dph_base=0.6 + n / 10) for n in range(1, 4)]

    assert "(1 machine would match, and 3 instances are wanted)" in message(slices, replace(REQUIREMENTS, instances=3))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("RTX 4O90",),
            "gpu-fleet:fleets.chat.gpu.name: nobody lists 'RTX 4O90'; did you mean 'RTX 4090'",
        ),
        (
            ("RTX 9999",),
            "gpu-fleet:fleets.chat.gpu.name: nobody lists 'RTX 9999'; no known GPU has such a name.",
        ),
        (
            ("XYZ",),
            "gpu-fleet:fleets.chat.gpu.name: nobody lists 'XYZ'; no known GPU has such a name.",
        ),
        (
            ("RTX 4090",),
            "gpu-fleet:fleets.chat.gpu: nobody lists 1 x RTX 4090 right now; name another GPU",
        ),
        (("RTX 4090", "H1O0"), "right now; name another GPU"),
        (("RTX 4090", "H1O0"), "replaces what runs. H1O0 is not a known name; did you mean H100"),
    ],
)
def test_a_gpu_that_nobody_lists_is_one_sentence_with_the_key(names: tuple[str, ...], message: str) -> None:
    text = refusal([], replace(REQUIREMENTS, gpu_names=names)).of_fleet("chat")

    assert message in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("offers_", "key"),
    [
        ([offer(1, dph_base=0.61)], "maxUsdPerHour"),
        ([offer(1, reliability2=0.1)], "reliability"),
        ([offer(1, gpu_ram=1000)], "gpu.ramGb"),
        ([offer(1, compute_cap=610)], "image"),
        ([offer(1, rentable=False)], "gpu.name"),
        ([offer(1, dph_base=0.61, reliability2=0.1)], ""),
    ],
)
def test_the_first_line_begins_with_the_key_that_decides(offers_: list[Offer], key: str) -> None:
    requirements = replace(REQUIREMENTS, gpu_ram_mb=20_000, min_capability=750)

    first = refusal(offers_, requirements).of_fleet("chat").splitlines()[0]

    assert first.startswith(
        f"gpu-fleet:fleets.chat{key and '.'}{key}: no offer for 1 x RTX 4090 fulfils every requirement; "
    )


def test_an_old_driver_is_named_with_what_would_do() -> None:
    text = message([offer(1, cuda_max_good=12.4)], replace(REQUIREMENTS, min_cuda=13.0))

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
    requirements = replace(REQUIREMENTS, instances=wanted)

    text = message(rows, requirements)

    found = re.search(r"(?:raise|lower) (\w+)(?: from \S+)? to ([\d.]+) \((\d+) machine", text)
    assert found is not None
    fields = {
        "maxUsdPerHour": "max_usd_per_hour",
        "reliability": "min_reliability",
        "downloadMbps": "min_download_mbps",
        "diskGb": "disk_gb",
    }
    hint: dict[str, Any] = {fields[found[1]]: float(found[2])}
    followed = replace(requirements, **hint)
    if found[1] != "diskGb":  # less disk is cheaper besides, which may open more
        assert len(ranking.rank(rows, followed)) == int(found[3])
    assert len(ranking.rank(rows, followed)) >= int(found[3]) >= 1


def test_an_older_image_opens_those_machines_alone_whose_drivers_support_it() -> None:
    rows = [offer(n, cuda_max_good=cuda) for n, cuda in enumerate((12.2, 12.4, 12.8, 12.8, None), 1)]

    assert "take an image for CUDA 12.8 or older, or set minCuda where you know better (2 machines" in message(
        rows, replace(REQUIREMENTS, min_cuda=13.0)
    )
    assert "for CUDA 12.4 or older" in message(rows, replace(REQUIREMENTS, min_cuda=13.0, instances=3))


def needing(image: str, *arguments: str, least: float = 0) -> Requirements:
    needs = needs_of(image, arguments, None, least)
    return replace(REQUIREMENTS, min_cuda=needs.cuda or 0, min_capability=needs.capability, needs=needs)


NEWEST, OLDER = "vllm/vllm-openai:v0.32.0", "vllm/vllm-openai:v0.19.0"
TAKE = "take an image for a CUDA older than 13, such as vLLM's before 0.20.0"


def test_another_image_is_said_to_replace_what_runs() -> None:
    text = message([offer(1, cuda_max_good=12.4)], needing(NEWEST))

    assert text.splitlines()[0].endswith(
        "(1 machine would match). Another image replaces what runs. minCuda alone replaces nothing."
    )


def test_a_floor_of_ones_own_is_what_gives() -> None:
    rows = [offer(1, cuda_max_good=12.4)]

    assert "requirement; lower minCuda to 12.4, if the image runs with that CUDA (1" in message(
        rows, needing(NEWEST, least=13)
    )
    assert not ranking.rank(rows, needing("vllm/vllm-openai:v0.8.0", least=13))  # an older image alone opens nothing
    assert ranking.rank(rows, needing(NEWEST, least=12.4))


def test_drivers_of_which_nothing_is_known_are_opened_by_nothing() -> None:
    text = message([offer(1, cuda_max_good=None)], needing(NEWEST))

    assert (
        "nothing in the config opens those that fail one requirement only: the market does not say which CUDA" in text
    )


def test_an_architecture_that_the_image_has_left_is_opened_by_an_older_image() -> None:
    rows = [offer(1, compute_cap=700), offer(2, compute_cap=610)]

    text = message(rows, needing(NEWEST))

    assert f"offer 1: has compute capability 7, 7.5 is the least for the image {NEWEST}" in text
    assert (
        f"{TAKE}, because the image {NEWEST} needs newer GPUs (1 machine would match). Another image replaces" in text
    )
    assert "dtype" not in text
    assert [one.id for one in ranking.rank(rows, needing(OLDER))] == [1]


@pytest.mark.parametrize(
    ("image", "arguments", "capability", "give"),
    [
        (NEWEST, ("--dtype", "bfloat16"), 750, "serve the model with another dtype or quantization (1"),
        (NEWEST, ("--dtype", "bfloat16"), 700, f"serve the model with another dtype or quantization, and {TAKE} (1"),
        (NEWEST, ("-q", "fp8"), 700, f"serve the model with another dtype or quantization, and {TAKE} (1"),
        (OLDER, ("-q", "fp8"), 700, "serve the model with another dtype or quantization (1"),
        (NEWEST, (), 610, "their GPUs are too old, even for an image for a CUDA older than 13"),
        (NEWEST, (), None, "the market does not say their compute capability"),
    ],
)
def test_what_needs_a_newer_architecture_is_what_gives(
    image: str, arguments: tuple[str, ...], capability: int | None, give: str
) -> None:
    text = message([offer(1, compute_cap=capability)], needing(image, *arguments))

    assert f"every requirement; {give}" in text or f"fail one requirement only: {give}" in text


def test_one_older_image_opens_old_drivers_with_old_gpus() -> None:
    rows = [offer(1, compute_cap=700, cuda_max_good=12.4), offer(2, compute_cap=610, cuda_max_good=12.8)]

    assert f"requirement; {TAKE}, and for CUDA 12.4 at the most (1 machine would match)." in message(
        rows, needing(NEWEST)
    )
    assert [one.id for one in ranking.rank(rows, needing("vllm/vllm-openai:v0.8.0"))] == [1]
    assert "no single one is in the way" in message(rows, needing(NEWEST, "--dtype", "bfloat16"))


def test_what_no_key_opens_is_said_to_be_so_and_named_last() -> None:
    closed = [offer(n, direct_port_count=1) for n in range(1, 4)]

    assert "nothing in the config opens those that fail one requirement only: SSH and the endpoint need 2" in message(
        closed, REQUIREMENTS
    )
    assert "raise maxUsdPerHour" in message([*closed, offer(9, dph_base=0.8)], REQUIREMENTS)
    assert "others rent them now" in message([offer(1, rentable=False)], REQUIREMENTS)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.integers(1, 4), st.sampled_from([1.0, 7.0, 30.0]))
def test_fewer_days_open_exactly_what_is_counted(days: list[float], wanted: int, scale: float) -> None:
    rows = [offer(n, dph_base=0.3, duration=one * 86_400 / scale) for n, one in enumerate(days, 1)]
    requirements = replace(REQUIREMENTS, min_seconds=(150 + 1) * 86_400 / scale, time_scale=scale, instances=wanted)

    text = message(rows, requirements)

    found = re.search(r"(?:lower|set) minDays to ([\d.]+) \((\d+) machine", text)
    assert found is not None
    least = (float(found[1]) + 1) * 86_400 / scale if float(found[1]) else 0.0
    assert len(ranking.rank(rows, replace(requirements, min_seconds=least))) == int(found[2]) >= min(wanted, len(days))
