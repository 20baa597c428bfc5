import json
import struct
from pathlib import Path

import pytest

from sandbox.model import CONTEXT, HEAD_DIM, VOCABULARY, main, write
from weights.manifest import Manifest, mismatches

COMMITTED = Path(__file__).parents[2] / "models" / "tiny.json"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write(folder)
    return folder


def test_it_is_the_model_of_the_committed_manifest(model):
    assert mismatches(Manifest.from_json(COMMITTED.read_text()), model) == []


def test_writing_again_changes_nothing(model):
    before = {path: path.stat().st_mtime_ns for path in model.iterdir()}
    write(model)
    assert {path: path.stat().st_mtime_ns for path in model.iterdir()} == before
    assert [path.name for path in model.parent.iterdir()] == ["tiny"]


def test_a_damaged_folder_is_made_whole(tmp_path):
    manifest = write(tmp_path / "tiny")
    (tmp_path / "tiny" / "config.json").write_text("{}")
    assert write(tmp_path / "tiny") == manifest
    assert mismatches(manifest, tmp_path / "tiny") == []


def test_somebody_elses_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main([str(tmp_path)]) == 1
    assert "holds other files, such as thesis.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_its_shape_is_one_that_vllm_serves_on_a_cpu(model):
    config = json.loads((model / "config.json").read_text())
    assert config["head_dim"] == HEAD_DIM == 32
    assert config["hidden_size"] == config["num_attention_heads"] * config["head_dim"]
    assert config["torch_dtype"] == "float16"
    assert config["max_position_embeddings"] == CONTEXT


def test_every_id_that_the_model_can_sample_is_in_the_vocabulary(model):
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    ids = {token["id"] for token in tokenizer["added_tokens"]} | set(tokenizer["model"]["vocab"].values())
    assert ids == set(range(VOCABULARY))
    assert json.loads((model / "config.json").read_text())["vocab_size"] == VOCABULARY == 416


def test_the_weights_are_a_safetensors_file_without_gap_or_overlap(model):
    data = (model / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    position = 0
    for tensor in header.values():
        start, end = tensor["data_offsets"]
        count = 1
        for side in tensor["shape"]:
            count *= side
        assert (tensor["dtype"], start, end - start) == ("F16", position, 2 * count)
        position = end
    assert 8 + length + position == len(data)
    assert header["lm_head.weight"]["shape"] == [VOCABULARY, 64]


def test_the_command_says_where_it_is_and_what(tmp_path, capsys):
    assert main([str(tmp_path / "tiny")]) == 0
    assert "6 files, 280938 bytes" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file" / "tiny")]) == 1
    assert "cannot be written" in capsys.readouterr().err
