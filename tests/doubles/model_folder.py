"""A small model's folder that has everything a real one has: config, tokenizer, two shards and their index."""

import json
import struct
from pathlib import Path
from typing import Any

from weights.model_folder import INDEX

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "max_position_embeddings": 2048,
}


def safetensors(tensors: dict[str, tuple[str, list[int], int]]) -> bytes:
    rows: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, size) in tensors.items():
        rows[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(rows).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def make_model(folder: Path) -> Path:
    """Write it into a new folder, and return that."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model-1.safetensors").write_bytes(safetensors({"a": ("F16", [8, 4], 64), "b": ("F32", [2], 8)}))
    (folder / "model-2.safetensors").write_bytes(safetensors({"c": ("F16", [16], 32)}))
    weights = {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": weights}))
    return folder
