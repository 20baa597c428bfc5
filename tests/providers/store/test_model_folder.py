"""A folder as a model: what it is, and every way in which it is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles.model_folder import CONFIG, make_model, safetensors
from weights.manifest import ManifestError, paths_of
from weights.model_folder import INDEX, header, problems, read_model_info
from weights.model_info import ModelInfo


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


def found(folder: Path, *allowed: str) -> list[str]:
    return problems(folder, paths_of(folder), allowed)


def info_of(folder: Path) -> ModelInfo:
    info = read_model_info(folder, paths_of(folder))
    assert info is not None
    return info


def test_a_whole_model_has_no_problems_and_says_what_it_is(model: Path) -> None:
    assert found(model) == []
    what = info_of(model)
    assert (what.parameters, what.weight_bytes, what.dtype) == (50, 104, "F16")
    assert what.kv_values_per_token == 2 * 2 * 2 * 16
    assert what.tensor_parallel_sizes == (1, 2, 4)
    assert what.chat_template is False


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda model: (model / "model-2.safetensors").unlink(), "model-2.safetensors is named by"),
        (lambda model: (model / "model-9.safetensors").write_bytes(safetensors({})), "downloaded and never loaded"),
        (lambda model: (model / INDEX).unlink(), "no model.safetensors.index.json that says which belong together"),
        (lambda model: (model / "model-2.safetensors").write_bytes(b""), "model-2.safetensors is empty"),
        (lambda model: (model / "pytorch_model.bin").write_bytes(b"x"), "can run code"),
        (lambda model: (model / "modeling.py").write_bytes(b"x"), "can run code"),
        (lambda model: (model / "model.gguf").write_bytes(b"x"), "nothing that vLLM loads"),
        (
            lambda model: (model / "original").mkdir() or (model / "original/params.json").write_text("{}"),
            "nothing that",
        ),
        (lambda model: (model / "model-2.safetensors").write_bytes(b"\0" * 40), "no safetensors file"),
    ],
)
def test_what_does_not_belong_or_is_missing_is_said(model: Path, change: Any, says: str) -> None:
    change(model)
    assert any(says in sentence for sentence in found(model)), found(model)


def test_a_file_that_is_cut_short_is_said(model: Path) -> None:
    path = model / "model-1.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert any("download it again" in sentence for sentence in found(model))


def test_what_is_allowed_stays(model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(b"x")
    assert found(model, "*.bin") == []


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert any("no safetensors file" in sentence for sentence in found(tmp_path))


@pytest.mark.parametrize("text", ["{}", '{"architectures": []}', '{"architectures": ["New"], "model_type": "new"}'])
def test_a_config_that_does_not_say_how_large_the_model_is_leaves_that_open(model: Path, text: str) -> None:
    (model / "config.json").write_text(text)

    assert read_model_info(model, paths_of(model)) is None


@pytest.mark.parametrize("text", ["", "[]"])
def test_a_config_that_is_none_is_refused(model: Path, text: str) -> None:
    (model / "config.json").write_text(text)
    with pytest.raises(ManifestError, match=r"config\.json"):
        read_model_info(model, paths_of(model))


def test_a_model_inside_a_multimodal_one_is_read(model: Path) -> None:
    outer = {"architectures": ["Vision"], "text_config": {key: CONFIG[key] for key in CONFIG if key != "architectures"}}
    (model / "config.json").write_text(json.dumps(outer))
    assert info_of(model).architecture == "Vision"


def test_latent_attention_keeps_one_vector_a_layer(model: Path) -> None:
    (model / "config.json").write_text(json.dumps(CONFIG | {"kv_lora_rank": 512, "qk_rope_head_dim": 64}))
    assert info_of(model).kv_values_per_token == 2 * 576


@pytest.mark.parametrize("where", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_chat_template_is_found(model: Path, where: str) -> None:
    (model / where).write_text(json.dumps({"chat_template": "{{ x }}"}))
    assert info_of(model).chat_template is True


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_header(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("header") / "x.safetensors"
    path.write_bytes(content)
    try:
        header(path)
    except ManifestError:
        return
    assert len(content) >= 8
