"""How several GPUs are used where nothing says it: as many as vLLM can split the model over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.preview_plan import report_plan
from providers.vast.search.memory_fit import GIB, advice, contradictions
from providers.vast.search.serving_options import read_options, spread
from providers.vast.settings import InstanceSettings
from tests.doubles.settings import PROPS
from tests.providers.vast.test_memory_fit import LLAMA_8B, RTX_4090_MIB
from weights.model_info import ModelInfo


@pytest.mark.parametrize(
    ("arguments", "count", "added"),
    [
        ((), 1, None),
        ((), 4, 4),
        (("--dtype", "half"), 2, 2),
        (("-tp", "2"), 4, None),
        (("--tensor-parallel-size=2",), 4, None),
        (("--tensor-par=2",), 4, None),
        (("--pipeline-parallel-size", "4"), 4, None),
        (("-dp", "4"), 4, None),
        (("--data_parallel_size=2",), 4, None),
    ],
)
def test_several_gpus_are_used_where_nothing_says_how(
    arguments: tuple[str, ...], count: int, added: int | None
) -> None:
    wanted = arguments if added is None else (*arguments, f"--tensor-parallel-size={added}")

    assert spread(LLAMA_8B, arguments, count) == wanted


def vllm_splits(about: ModelInfo, size: int) -> bool:
    """What vLLM asserts of attention heads and of those of the cache (QKVParallelLinear and the attention of each model)."""
    few, many = sorted((size, about.kv_heads))
    return about.attention_heads % size == 0 and many % few == 0


@given(st.integers(1, 16), st.integers(1, 128), st.integers(1, 128))
def test_what_is_added_is_the_most_that_vllm_can_use_and_contradicts_nothing(count: int, heads: int, kv: int) -> None:
    about = LLAMA_8B.model_copy(update={"attention_heads": heads, "kv_heads": kv})

    order = read_options(about, spread(about, (), count))

    assert order.tensor == max(size for size in range(1, count + 1) if vllm_splits(about, size))
    assert contradictions(about, order, count) == []
    assert set(about.tensor_parallel_sizes) == {size for size in range(1, heads + 1) if vllm_splits(about, size)}


def test_the_last_of_two_spellings_counts_as_in_vllm() -> None:
    assert read_options(LLAMA_8B, ["--tensor-parallel-size", "2", "-tp", "4", "--dtype", "half"]).tensor == 4
    assert read_options(LLAMA_8B, ["-tp", "4", "--tensor-parallel-size=2"]).tensor == 2
    assert read_options(LLAMA_8B, ["-tp", "8", "--tensor-parallel-size", "2", "-tp", "4"]).tensor == 4


def test_nothing_is_added_where_the_model_is_not_known() -> None:
    assert spread(None, ("--dtype", "half"), 4) == ("--dtype", "half")


# microsoft/phi-4: 40 attention heads, 10 of the cache; vLLM ends with an AssertionError on --tensor-parallel-size 4.
PHI_4 = LLAMA_8B.model_copy(update={"attention_heads": 40, "kv_heads": 10})


@pytest.mark.parametrize(("count", "size"), [(2, 2), (4, 2), (5, 5), (8, 5), (10, 10)])
def test_the_heads_of_the_cache_are_split_too(count: int, size: int) -> None:
    assert spread(PHI_4, (), count) == (f"--tensor-parallel-size={size}",)


def test_a_split_that_the_heads_of_the_cache_do_not_allow_is_refused_and_never_advised() -> None:
    (sentence,) = contradictions(PHI_4, read_options(PHI_4, ["-tp", "4"]), 4)
    assert "40 attention heads and 10 of the KV cache" in sentence
    assert "possible are 1, 2, 5, 10, 20, 40" in sentence

    large = PHI_4.model_copy(update={"weight_bytes": 60 * GIB})  # on 24 GiB it would fit four GPUs
    assert "gpu.count 5 with --tensor-parallel-size 5" in advice(large, read_options(large, []), RTX_4090_MIB)


@pytest.mark.parametrize(("arguments", "warns"), [([], True), (["--pipeline-parallel-size=4"], False)])
def test_gpus_that_vllm_leaves_idle_are_told_though_nothing_is_known_of_the_model(
    arguments: list[str], warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server = {**PROPS["server"], "arguments": arguments}
    props = {**PROPS, "server": server, "wishes": {**PROPS["wishes"], "gpuCount": 4}}
    settings = InstanceSettings.from_props(props)
    assert settings.model.about is None

    report_plan(settings, [])

    printed = capsys.readouterr().out
    assert "fit unknown" in printed
    assert ("vLLM uses 1 of the 4 GPUs that are paid for" in printed) == warns
