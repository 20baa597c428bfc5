"""What planning knows of public models is what vLLM itself makes of their config.json."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weights.model_config import model_type, quantization, shape

ROWS = json.loads((Path(__file__).parent / "cases" / "configs.json").read_text())
LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "hidden_size": 512,
}


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_it_is_what_vllm_computes(row: dict[str, Any]) -> None:
    found, vllm = shape(row["config"]), row["vllm"]
    a_layer = vllm["head_size"] if vllm["mla"] else 2 * vllm["kv_heads"] * vllm["head_size"]

    assert found is not None
    assert (found.layers, found.attention_heads) == (vllm["layers"], vllm["attention_heads"])
    assert found.kv_heads == (1 if vllm["mla"] else vllm["kv_heads"])
    assert found.kv_values_per_token == (vllm["full_layers"] + vllm["windowed_layers"]) * a_layer
    assert found.windowed_values_per_token == vllm["windowed_layers"] * a_layer
    assert found.default_context == vllm["context"]
    if vllm["windowed_layers"] and vllm["window"]:
        assert found.window == vllm["window"]


def test_twenty_public_models_are_compared() -> None:
    assert len(ROWS) >= 20
    assert all(row["vllm"]["context"] for row in ROWS)


def test_blocks_without_attention_have_no_cache() -> None:
    blocks = [
        {"attention": {"no_op": True, "n_heads_in_group": None}},
        {"attention": {"no_op": False, "n_heads_in_group": 4}},
    ]

    found = shape({**LLAMA, "model_type": "nemotron-nas", "num_key_value_heads": None, "block_configs": blocks * 2})

    assert found is not None
    assert found.kv_values_per_token == 2 * 2 * (8 // 4) * 64


def test_a_pattern_of_letters_names_the_layers_with_attention() -> None:
    found = shape({**LLAMA, "model_type": "nemotron_h", "hybrid_override_pattern": "M-*M", "head_dim": 64})

    assert found is not None
    assert found.kv_values_per_token == 2 * 2 * 64


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "brand-new"},
        {**LLAMA, "model_type": "brand-new", "mamba_d_state": 16},
        {**LLAMA, "num_hidden_layers": "many"},
        {**LLAMA, "num_attention_heads": 0, "model_type": "brand-new"},
        {**LLAMA, "num_hidden_layers": -3},
    ],
)
def test_what_is_not_known_is_not_guessed(config: dict[str, Any]) -> None:
    assert shape(config) is None


def test_a_quantised_cache_is_read() -> None:
    assert quantization(
        {"quantization_config": {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8}}}
    ) == (
        "compressed-tensors",
        8,
    )
    assert quantization({"text_config": {"quantization_config": {"quant_method": "awq"}}}) == ("awq", None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(ROWS), st.data())
def test_whatever_stands_in_a_field_it_is_read_or_not_known(row: dict[str, Any], data: st.DataObject) -> None:
    config = dict(row["config"])
    for key in data.draw(st.sets(st.sampled_from(sorted(config)), max_size=3)):
        config[key] = data.draw(json_values)

    found = shape(config)

    assert isinstance(model_type(config), str)
    assert found is None or (found.layers >= 1 and 0 <= found.windowed_values_per_token <= found.kv_values_per_token)


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 10**12}, {"num_kv_shared_layers": -(10**12)}])
@pytest.mark.parametrize("row", ROWS[::4], ids=[row["name"] for row in ROWS[::4]])
def test_numbers_without_bound_take_no_memory(row: dict[str, Any], changes: dict[str, int]) -> None:
    # As a program of its own: what is wrong here would take the machine's memory.
    text = json.dumps({**row["config"], **changes})
    program = (
        "import json, resource, sys\n"
        "from weights.model_config import shape\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "shape(json.loads(sys.stdin.read()))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], input=text, text=True, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr[-300:]
