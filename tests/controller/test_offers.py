"""Which fleet serves a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.gpu_names import CARDS, market_names
from config.elastic import Elastic
from controller.offers import NoFleet, Offered, choose, same_model

GPUS = ("RTX 4090", "RTX 3090", "H100 SXM", "H100 PCIE", "L4")
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "qwen2.5-7b")

fleets = st.lists(
    st.builds(
        Offered,
        fleet=st.sampled_from(("a", "b", "c", "d")),
        model=st.sampled_from(MODELS),
        gpus=st.lists(st.sampled_from(GPUS), unique=True, max_size=2).map(tuple),
        bounds=st.integers(0, 4).map(lambda most: Elastic(max=most)),
        ceiling=st.floats(0.1, 9),
    ),
    unique_by=lambda one: one.fleet,
    max_size=4,
)


@pytest.mark.parametrize(
    ("model", "gpu"),
    [
        ("llama-3.1-8b", "rtx4090"),
        ("Llama-3.1-8B", "RTX_4090"),
        ("llama 3.1 8b", "4090"),
        ("meta-llama/Llama-3.1-8B", "NVIDIA GeForce RTX 4090"),
        ("LLAMA3.1-8B", None),
    ],
)
def test_any_spelling_is_understood(model: str, gpu: str | None) -> None:
    offered = Offered("burst", "llama-3.1-8b", ("RTX 4090",), Elastic(max=1), 0.5)
    assert choose([offered], model, gpu, {}, 1) is offered


@given(st.sampled_from(sorted(CARDS)), st.sampled_from(sorted(CARDS)))
def test_a_gpu_is_served_by_its_own_fleet_alone(one: str, other: str) -> None:
    offered = Offered("burst", "m", (one,), Elastic(max=1), 0.5)
    if set(market_names(one)) & set(market_names(other)):
        assert choose([offered], "m", other.lower(), {}, 1) is offered
    else:
        with pytest.raises(NoFleet):
            choose([offered], "m", other.lower(), {}, 1)


def test_a_family_is_served_by_any_of_its_cards() -> None:
    offered = Offered("large", "m", ("H100 PCIE",), Elastic(max=1), 0.5)
    assert choose([offered], "m", "h100", {}, 1) is offered
    with pytest.raises(NoFleet, match="on a GPU 'h100 sxm'"):
        choose([offered], "m", "h100 sxm", {}, 1)


def test_a_model_is_not_its_namesake_of_another_size() -> None:
    assert not same_model("llama-3.1-8b", "llama-3.1-80b")
    assert not same_model("llama-3.1-8b", "llama-3.1")
    assert not same_model("模型", "型号")
    assert same_model("模型", "模型")


@given(
    fleets,
    st.sampled_from((*MODELS, "gpt-5")),
    st.none() | st.sampled_from((*GPUS, "h100", "nothing")),
    st.dictionaries(st.sampled_from(("a", "b", "c", "d")), st.integers(0, 6)),
    st.integers(1, 5),
)
def test_a_choice_fits_and_has_most_room_and_a_refusal_is_right(
    offered: list[Offered], model: str, gpu: str | None, claimed: dict[str, int], count: int
) -> None:
    def fits(one: Offered) -> bool:
        wanted = set(market_names(gpu)) if gpu else set()
        gpus = {name for card in one.gpus for name in market_names(card)}
        return same_model(one.model, model) and one.bounds.max >= count and (not gpu or not gpus or bool(wanted & gpus))

    def room(one: Offered) -> int:
        return min(count, max(0, one.bounds.max - claimed.get(one.fleet, 0)))

    if not any(map(fits, offered)):
        with pytest.raises(NoFleet) as refused:
            choose(offered, model, gpu, claimed, count)
        assert len(refused.value.near) <= 5
        assert bool(refused.value.near) == any(one.bounds.max for one in offered)
        return
    found = choose(offered, model, gpu, claimed, count)
    assert fits(found)
    assert room(found) == max(room(one) for one in offered if fits(one))
    assert found is choose(offered[::-1], model, gpu, claimed, count)


def test_a_refusal_names_the_nearest_first() -> None:
    both = [Offered(name, name, (), Elastic(max=1), 1.0) for name in ("qwen2.5-7b", "llama-3.1-8b")]
    with pytest.raises(NoFleet) as refused:
        choose(both, "lama3.1:8b", None, {}, 1)
    assert refused.value.near == (
        "llama-3.1-8b on any GPU (fleet llama-3.1-8b)",
        "qwen2.5-7b on any GPU (fleet qwen2.5-7b)",
    )
    with pytest.raises(NoFleet, match=r"Near names: RTX 4090"):
        choose([Offered("a", "m", ("RTX 4090",), Elastic(max=1), 1.0)], "m", "rtx409", {}, 1)
