"""Read the facts of a model from its folder, and find files that do not belong. Reads headers, never whole files.

vLLM serves a checkpoint with a missing or damaged shard without any warning. So a folder is compared with its own index and
headers before a manifest is made of it.
"""

import fnmatch
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from weights.manifest import ManifestError
from weights.model_config import model_type, quantization, shape
from weights.model_info import ModelInfo

INDEX = "model.safetensors.index.json"
# Unpickling runs the code of the file's author; vLLM runs Python beside the weights with --trust-remote-code.
CODE = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.py")
BELONGS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "*.md", "LICENSE*", "NOTICE*")
LONGEST_HEADER = 100_000_000  # bytes; the safetensors library accepts no longer one
ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2}  # other types take one byte


class Tensor(BaseModel):
    """Hold one row of a safetensors header; offsets in bytes from the header's end."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


_TENSORS: TypeAdapter[dict[str, Tensor | None]] = TypeAdapter(dict[str, Tensor | None])


def problems(folder: Path, paths: Sequence[str], allowed: Sequence[str] = ()) -> list[str]:
    """Return a sentence for each file in a model's folder that does not belong or is missing.

    `paths` are relative. `allowed` are patterns of files that may stay although they look foreign.
    """
    if other := _other_format(paths):
        return [other]
    found = [sentence for path in paths if not _matches(path, allowed) and (sentence := _foreign(folder, path))]
    return found + _of_weights(folder, [path for path in paths if path.endswith(".safetensors")])


def read_model_info(folder: Path, paths: Iterable[str]) -> ModelInfo | None:
    """Read the facts of a model; None if config.json has a form that this project does not know.

    Raises ManifestError if a file cannot be read.
    """
    raw = _json(folder / "config.json")
    found = shape(raw)
    present = set(paths)
    items: Counter[str] = Counter()
    for path in sorted(path for path in present if path.endswith(".safetensors")):
        for tensor in header(folder / path).values():
            items[tensor.dtype] += math.prod(tensor.shape)
    sizes = {dtype: count * ITEM_BYTES.get(dtype, 1) for dtype, count in items.items()}
    names = raw.get("architectures")
    if found is None or not (isinstance(names, list) and names and isinstance(names[0], str)):
        return None
    usual = found.default_context
    method, bits = quantization(raw)
    return ModelInfo(
        architecture=names[0],
        parameters=sum(items.values()),
        dtype=max(sizes, key=lambda dtype: sizes[dtype], default="none"),
        weight_bytes=sum(sizes.values()),
        layers=found.layers,
        attention_heads=found.attention_heads,
        kv_heads=found.kv_heads,
        kv_values_per_token=found.kv_values_per_token,
        context_length=found.context_length,
        quantization=method,
        chat_template=_has_template(folder, present),
        model_type=model_type(raw),
        default_context=usual if usual != found.context_length else None,
        window=found.window or None,
        windowed_values_per_token=found.windowed_values_per_token or None,
        kv_cache_bits=bits,
    )


def header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name.

    Raises ManifestError if the file is too short, longer than its tensors, or no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        text = stream.read(length) if length <= min(size, LONGEST_HEADER) else b""
    try:
        tensors = _TENSORS.validate_python({**json.loads(text), "__metadata__": None})
    except (ValueError, TypeError):
        raise ManifestError(f"{path} is no safetensors file, or is cut short: its header cannot be read.") from None
    found = {name: tensor for name, tensor in tensors.items() if tensor}
    end = 8 + length + max((tensor.data_offsets[1] for tensor in found.values()), default=0)
    if end != size:
        raise ManifestError(f"{path} has {size} bytes and its header speaks of {end}: download it again.")
    return found


def _other_format(paths: Sequence[str]) -> str:
    """Return a sentence if the folder holds a model in a known form that gpu-fleet does not serve; else empty."""
    present = {*paths}
    if "config.json" in present:
        return ""
    if "adapter_config.json" in present:
        return (
            "This is a LoRA adapter and no whole model: adapter_config.json and no config.json. Merge it into its base "
            "model, and make a manifest of the result."
        )
    if any(path.endswith(".gguf") for path in paths):
        return (
            "This is a GGUF model: gpu-fleet serves safetensors with a config.json. "
            "Take the repository that it was made from."
        )
    if "params.json" in present:
        return (
            "This is Mistral's own format: params.json, consolidated weights and no config.json. Take the files in the "
            "transformers format, config.json and model-*.safetensors; most repositories hold both."
        )
    return ""


def _foreign(folder: Path, path: str) -> str:
    if (folder / path).stat().st_size == 0:
        return f"{path} is empty."
    if _matches(path, CODE):
        return f"{path} can run code on the host when it is loaded. Use safetensors, or allow it by --allow '{path}'."
    if not _matches(path, BELONGS) or "/" in path:
        return f"{path} is nothing that vLLM loads, and would be downloaded at every start. Remove it, or --allow it."
    return ""


def _of_weights(folder: Path, shards: Sequence[str]) -> list[str]:
    if not shards:
        return [f"There is no safetensors file in {folder}."]
    found = []
    for shard in shards:
        try:
            header(folder / shard)
        except ManifestError as error:
            found.append(str(error))
    if not (folder / INDEX).is_file():
        if len(shards) > 1:
            found.append(f"There are {len(shards)} safetensors files and no {INDEX} that says which belong together.")
        return found
    named = set(_index(folder).values())
    found += [
        f"{shard} is named by {INDEX} and is not there: a shard is missing." for shard in sorted(named - {*shards})
    ]
    extra = sorted({*shards} - named)
    return found + [f"{shard} is not named by {INDEX}: it would be downloaded and never loaded." for shard in extra]


def _index(folder: Path) -> Mapping[str, str]:
    weights = _json(folder / INDEX).get("weight_map")
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights.values()):
        raise ManifestError(f"{folder / INDEX} has no weight_map from tensors to files.")
    return weights


def _has_template(folder: Path, present: set[str]) -> bool:
    if "chat_template.jinja" in present or "chat_template.json" in present:
        return True
    return "tokenizer_config.json" in present and bool(_json(folder / "tokenizer_config.json").get("chat_template"))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise ManifestError(f"{path} is missing: this is not the folder of a model.") from None
    except ValueError:
        raise ManifestError(f"{path} is not JSON.") from None
    if not isinstance(value, dict):
        raise ManifestError(f"{path} is not a JSON object.")
    return value


def runs_code(path: str) -> bool:
    """Return whether a file of this name can run code on the host when it is loaded: pickles and Python."""
    return _matches(path.lower(), CODE)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
