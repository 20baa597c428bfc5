"""Revisions of a stack's config for tests of reviews."""

import copy
from collections.abc import Mapping
from typing import Any

from config.stack import StackConfig
from review.policy import Revision
from weights.manifest import File, Manifest
from weights.model_info import ModelInfo

PINNED = f"vllm/vllm-openai:v0.32.0@sha256:{'a' * 64}"
GOOD: dict[str, Any] = {
    "store": {"endpoint": "https://fsn1.your-objectstorage.com", "region": "fsn1", "bucket": "weights"},
    "models": {"small": {"manifest": "models/small.json"}, "large": {"manifest": "models/large.json"}},
    "fleets": {
        "chat": {
            "replicas": 2,
            "model": "small",
            "gpu": {"name": "RTX 4090"},
            "maxUsdPerHour": 0.5,
            "regions": ["DE"],
            "image": PINNED,
        },
        "rerank": {
            "model": "small",
            "gpu": {"name": ["RTX 3090"]},
            "maxUsdPerHour": 0.3,
            "regions": ["EU"],
            "image": PINNED,
        },
    },
    "budget": {"usdPerDay": 60, "usdPerMonth": 1500},
}
ABOUT = ModelInfo(
    architecture="LlamaForCausalLM",
    parameters=8_030_000_000,
    dtype="BF16",
    weight_bytes=16_060_000_000,
    layers=32,
    attention_heads=32,
    kv_heads=8,
    kv_values_per_token=65_536,
    context_length=8192,
)


def config(edits: Mapping[str, Any] | None = None) -> StackConfig:
    """Return the good config with edits by path, such as `fleets.chat.replicas`; None removes a key."""
    raw = copy.deepcopy(GOOD)
    for path, value in (edits or {}).items():
        *parents, last = path.split(".")
        place = raw
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return StackConfig.model_validate(raw)


def manifest(name: str = "small", about: ModelInfo | None = ABOUT, **files: int) -> Manifest:
    """Return a manifest. `files`: sizes by path, in which `__` stands for a dot; the digest follows from the size."""
    sizes = {path.replace("__", "."): size for path, size in files.items()} or {"model.safetensors": 1000}
    return Manifest(name=name, files=tuple(file(path, size) for path, size in sizes.items()), about=about)


def file(path: str, size: int) -> File:
    """Return a file of a manifest whose digests follow from its size."""
    parts = tuple(f"{size + part:064x}" for part in range(-(-size // (64 * 2**20))))
    return File(path=path, size=size, sha256=parts[0] if len(parts) == 1 else f"{size:064x}", parts=parts)


def revision(edits: Mapping[str, Any] | None = None, **manifests: Manifest | None) -> Revision:
    """Return a revision: the good config with edits, and manifests of both models."""
    return Revision(config(edits), {"small": manifest(), "large": manifest("large"), **manifests})
