"""Checks a model's files as closely as a loader does, so that a missing or cut download fails at the start."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Model:
    """The property of a model that the fake vLLM needs: its longest context in tokens."""

    context: int


def load(folder: Path, max_model_len: int | None) -> Model:
    """Check config.json and every safetensors file. Raises ValueError with a loader's message."""
    config = read_config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(f"Cannot find any model weights with `{folder}`")
    for file in files:
        check_tensors(file)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        for name in sorted(set(json.loads(index.read_text())["weight_map"].values())):
            if not (folder / name).is_file():
                raise ValueError(f"{name} is named by {index.name} and is missing from {folder}")
    longest = int(str(config.get("max_position_embeddings", 2048)))
    if max_model_len is not None and max_model_len > longest:
        raise ValueError(
            f"User-specified max_model_len ({max_model_len}) is greater than the derived max_model_len "
            f"(max_position_embeddings={longest} or model_max_length=None in model's config.json)."
        )
    return Model(max_model_len or longest)


def read_config(folder: Path) -> Mapping[str, object]:
    """Return config.json. Raises ValueError if it is missing or names no architecture."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Invalid repository ID or local directory specified: '{folder}'. "
            f"Please verify that it holds a readable config.json ({error})."
        ) from error
    if not isinstance(config, dict) or not config.get("architectures"):
        raise ValueError("No model architectures are specified")
    return config


def check_tensors(file: Path) -> None:
    """Check that a safetensors file has exactly the bytes that its header promises. Raises ValueError."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if len(start) < 8:
            raise ValueError(f"Error while deserializing header of {file.name}: HeaderTooSmall")
        length = struct.unpack("<Q", start)[0]
        if length > min(LARGEST_HEADER, size - 8):
            raise ValueError(f"Error while deserializing header of {file.name}: InvalidHeaderLength")
        header = json.loads(stream.read(length))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError(
            f"Error while deserializing header of {file.name}: incomplete metadata, file not fully covered"
        )
