"""What a model needs of a GPU, held against models whose needs are known, and the rules that must hold for any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.search.memory_fit import GIB, MIB, Fit, advice, contradictions, doubts, need
from providers.vast.search.serving_options import read_options
from weights.model_info import ModelInfo

# The public config.json of Llama 3.1 8B and 70B Instruct.
LLAMA_8B = ModelInfo(
    architecture="LlamaForCausalLM",
    parameters=8_030_261_248,
    dtype="BF16",
    weight_bytes=16_060_522_496,
    layers=32,
    attention_heads=32,
    kv_heads=8,
    kv_values_per_token=32 * 2 * 8 * 128,
    context_length=131_072,
    model_type="llama",
)
LLAMA_70B = LLAMA_8B.model_copy(
    update={
        "weight_bytes": 141_107_412_992,
        "layers": 80,
        "attention_heads": 64,
        "kv_values_per_token": 80 * 2 * 8 * 128,
    }
)
RTX_4090_MIB, H100_MIB = 24_564, 81_559


def gpu_gb(about: ModelInfo, *arguments: str) -> float:
    return need(about, read_options(about, arguments)).gpu_bytes / GIB


def test_the_cache_of_llama_8b_takes_128_kib_a_token() -> None:
    assert LLAMA_8B.kv_bytes_per_token == 128 * 1024


def test_llama_8b_fits_a_4090_with_a_short_context_and_not_with_its_own() -> None:
    assert gpu_gb(LLAMA_8B, "--max-model-len", "8192") < RTX_4090_MIB * MIB / GIB
    assert gpu_gb(LLAMA_8B) > RTX_4090_MIB * MIB / GIB


def test_70b_is_split_over_four_gpus() -> None:
    order = read_options(LLAMA_70B, ["-tp", "4", "--max-model-len=8192"])

    assert need(LLAMA_70B, order).gpu_bytes < H100_MIB * MIB
    assert need(LLAMA_70B, order).weights == pytest.approx(LLAMA_70B.weight_bytes / 4)


@pytest.mark.parametrize(
    ("arguments", "context"),
    [
        ([], 131_072),
        (["--max-model-len", "4096"], 4096),
        (["--max_model_len=4096"], 4096),
        (["--max-model-len", "8k"], 8000),
        (["--max-model-len", "8K"], 8192),
        (["--max-model-len", "auto"], None),
        (["--max-model-len", "-1"], None),
    ],
)
def test_the_context_is_read_as_vllm_reads_it(arguments: list[str], context: int | None) -> None:
    assert read_options(LLAMA_8B, arguments).context == context


@pytest.mark.parametrize(
    "arguments", [["--gpu-memory-utilization", "x"], ["--gpu-memory-utilization=7"], ["-tp"], ["-tp", "?"]]
)
def test_what_cannot_be_read_is_left_to_vllm(arguments: list[str]) -> None:
    assert read_options(LLAMA_8B, arguments) == read_options(LLAMA_8B, [])


def test_a_checkpoint_in_32_bits_is_loaded_in_16() -> None:
    stored = LLAMA_8B.model_copy(update={"dtype": "F32", "weight_bytes": 2 * LLAMA_8B.weight_bytes})

    assert need(stored, read_options(stored, [])).weights == LLAMA_8B.weight_bytes
    assert need(stored, read_options(stored, ["--dtype", "float32"])).weights == 2 * LLAMA_8B.weight_bytes


def test_a_quantised_checkpoint_takes_what_is_stored() -> None:
    packed = LLAMA_8B.model_copy(update={"dtype": "I32", "weight_bytes": 5_700_000_000, "quantization": "gptq"})

    assert need(packed, read_options(packed, ["--dtype", "float16"])).weights == 5_700_000_000


def test_the_advice_makes_it_fit() -> None:
    order = read_options(LLAMA_8B, [])

    ways = advice(LLAMA_8B, order, RTX_4090_MIB)

    assert ways[0].startswith("--max-model-len ")
    assert gpu_gb(LLAMA_8B, *ways[0].split()) <= RTX_4090_MIB * MIB / GIB
    assert ways[-1] == "gpu.count 2 with --tensor-parallel-size 2"


def test_nothing_is_advised_where_nothing_would_do() -> None:
    assert "no argument would make it fit" in Fit(LLAMA_70B, read_options(LLAMA_70B, [])).refused(1_000)


@pytest.mark.parametrize(
    ("arguments", "gpus", "says"),
    [
        (["-tp", "3"], 3, "the model's 32 attention heads and 8 of the KV cache; possible are 1, 2, 4, 8, 16, 32"),
        (["-tp", "2"], 1, "ask for 2 GPUs and an instance has gpu.count 1"),
        (["-tp", "2", "-dp", "2"], 2, "ask for 4 GPUs"),
        (["--tensor-parallel-size=2", "--data-parallel-size", "2"], 2, "ask for 4 GPUs"),
        (["--max-model-len", "200000"], 1, "longer than the model's context of 131072"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], gpus: int, says: str) -> None:
    (sentence,) = contradictions(LLAMA_8B, read_options(LLAMA_8B, arguments), gpus)
    assert says in sentence


def test_ordinary_arguments_contradict_nothing() -> None:
    assert contradictions(LLAMA_8B, read_options(LLAMA_8B, ["--max-model-len", "8192"]), 1) == []


abouts = st.builds(
    ModelInfo,
    architecture=st.just("X"),
    parameters=st.integers(1, 10**12),
    dtype=st.sampled_from(["BF16", "F16", "F32", "F8_E4M3", "I32"]),
    weight_bytes=st.integers(1, 10**12),
    layers=st.integers(1, 200),
    attention_heads=st.integers(1, 128),
    kv_heads=st.integers(1, 64),
    kv_values_per_token=st.integers(0, 10**6),
    context_length=st.integers(1, 10**7),
)


@given(abouts, st.integers(1, 2**20), st.sampled_from([1, 2, 4, 8]))
def test_shorter_contexts_and_more_gpus_never_need_more(about: ModelInfo, context: int, tensor: int) -> None:
    order = read_options(about, ["--max-model-len", str(context), "-tp", str(tensor)])
    shorter = read_options(about, ["--max-model-len", str(max(1, context // 2)), "-tp", str(tensor)])
    wider = read_options(about, ["--max-model-len", str(context), "-tp", str(2 * tensor)])

    assert need(about, shorter).gpu_bytes <= need(about, order).gpu_bytes
    assert need(about, wider).gpu_bytes <= need(about, order).gpu_bytes


@given(abouts, st.integers(1_000, 200_000))
def test_whatever_is_advised_fits(about: ModelInfo, gpu_mib: int) -> None:
    order = read_options(about, [])
    for way in advice(about, order, gpu_mib):
        words = [word for word in way.split() if word.startswith("--") or word == "fp8" or word.isdigit()]
        start = next(at for at, word in enumerate(words) if word.startswith("--"))
        assert need(about, read_options(about, words[start:])).gpu_mib <= gpu_mib


@given(abouts, st.lists(st.text(max_size=20), max_size=6))
def test_no_arguments_break_the_reading(about: ModelInfo, arguments: list[str]) -> None:
    need(about, read_options(about, arguments))


QWEN_7B = LLAMA_8B.model_copy(
    update={"attention_heads": 28, "kv_heads": 4, "model_type": "qwen2", "context_length": 32_768}
)
LONG = ("--max-model-len", "65536")


def test_a_window_bounds_the_cache_of_its_layers() -> None:
    sliding = LLAMA_8B.model_copy(
        update={"window": 1024, "windowed_values_per_token": LLAMA_8B.kv_values_per_token // 2}
    )
    full, half = (need(about, read_options(about, [])).cache for about in (LLAMA_8B, sliding))

    assert half == pytest.approx(full / 2 * (1 + 1024 / 131_072))


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ((*LONG, "--hf-overrides", '{"rope_parameters": {}}'), {}),
        ((*LONG, "--hf-overrides.max_position_embeddings=65536"), {}),
        ((*LONG, "--rope-scaling", "{}"), {}),
        (LONG, {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}),
    ],
)
def test_a_longer_context_that_is_meant_is_a_doubt_and_no_refusal(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    order = read_options(QWEN_7B, arguments, environment)

    assert contradictions(QWEN_7B, order, 1) == []
    assert any("65536" in sentence for sentence in doubts(QWEN_7B, order, 1))


def test_a_longer_context_is_refused_where_nothing_makes_it_work_and_the_way_is_told() -> None:
    order = read_options(QWEN_7B, LONG)

    assert any("VLLM_ALLOW_LONG_MAX_MODEL_LEN" in sentence for sentence in contradictions(QWEN_7B, order, 1))
    older = QWEN_7B.model_copy(update={"model_type": None})
    assert contradictions(older, order, 1) == []


@pytest.mark.parametrize(
    ("arguments", "factor"),
    [
        (("--quantization", "fp8"), 0.5),
        (("-q", "bitsandbytes"), 0.25),
        (("--quantization=fp8_per_channel",), 0.5),
        (("--dtype", "float32"), 2),
    ],
)
def test_weights_that_are_quantised_while_loading_need_less(arguments: tuple[str, ...], factor: float) -> None:
    assert need(LLAMA_8B, read_options(LLAMA_8B, arguments)).weights == LLAMA_8B.weight_bytes * factor


def test_weights_that_stay_in_the_machines_memory_need_none_of_the_gpus() -> None:
    assert (
        need(LLAMA_8B, read_options(LLAMA_8B, ["--cpu-offload-gb", "10"])).weights == LLAMA_8B.weight_bytes - 10 * GIB
    )
    assert need(LLAMA_8B, read_options(LLAMA_8B, ["--cpu-offload-gb", "100"])).weights == 0


@pytest.mark.parametrize("argument", ["--hf-overrides", "--load-format=dummy", "--kv-cache-memory-bytes=1G", "--hf-ov"])
def test_arguments_that_change_the_model_leave_no_reason_to_refuse(argument: str) -> None:
    fit = Fit.of(LLAMA_70B, [argument, "-tp=3"])

    assert fit is not None
    assert fit.least_mib == 0
    assert contradictions(LLAMA_70B, fit.options, 1) == []
    assert doubts(LLAMA_70B, fit.options, 4)


def test_what_may_be_too_small_is_not_refused() -> None:
    fit = Fit.of(LLAMA_8B, ["--max-model-len", "8192"])
    assert fit is not None

    assert fit.least_mib < fit.need.gpu_mib
    assert fit.may_be_too_small(fit.least_mib)
    assert not fit.may_be_too_small(fit.need.gpu_mib)
