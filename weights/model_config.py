"""Compute a model's size at run time from its config.json, pure, as vLLM reads it.

Authors leave out defaults, use several names for the same thing, and nest the text model's part in that of a model with
images or sound. model_defaults.json holds the transformers library's defaults by `model_type`.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULTS = Path(__file__).with_name("model_defaults.json")
NESTED = ("thinker_config", "text_config", "llm_config", "language_config", "language_model_config")
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KV_HEADS = ("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num", "num_attention_groups")
MOST_LAYERS = 10_000  # the deepest model has some hundred; the code makes a list of them
HIDDEN = ("hidden_size", "n_embd", "d_model", "dim")
# vLLM takes the smallest of these.
CONTEXTS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
USUAL_CONTEXT = 2048  # vLLM's default if none of them is given
# Kinds of rope scaling whose factor is already in the context.
SCALED = ("su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling", "default", "mrope", None)
# Without a list of layers: every n-th layer sees the whole context, the others a window of it.
FULL_EVERY = {
    "gemma2": 2,
    "gemma3_text": 6,
    "gemma3n_text": 5,
    "cohere2": 4,
    "gpt_oss": 2,
    "llama4_text": 4,
    "olmo3": 4,
}
FULL, WINDOWED, NO_CACHE = "full", "windowed", "none"
KINDS: dict[object, str] = {
    **dict.fromkeys(
        ("full_attention", "indexed_attention", "attention", "hybrid", "sparse", "deepseek_sparse_attention"), FULL
    ),
    **dict.fromkeys(("qwen_sparse_attention", "*", 1), FULL),
    **dict.fromkeys(("sliding_attention", "chunked_attention"), WINDOWED),
}
# With these keys, some layers have no cache, or a compressed one, in forms that this module does not read.
UNREADABLE = ("mamba_d_state", "ssm_state_size", "state_size", "compress_ratios", "ssm_cfg", "mamba_d_ssm")


@dataclass(frozen=True)
class Shape:
    """Hold the facts that planning needs. Values a token are those of all layers; `window` in tokens, 0 without one."""

    layers: int
    attention_heads: int
    kv_heads: int
    kv_values_per_token: int
    windowed_values_per_token: int
    window: int
    context_length: int  # the longest context that vLLM accepts without an override
    default_context: int  # the context that vLLM serves by default


def model_type(raw: Mapping[str, Any]) -> str:
    """Return the text model's type; empty if the config does not name it."""
    return str(_text(raw).get("model_type") or raw.get("model_type") or "")


def shape(raw: Mapping[str, Any]) -> Shape | None:
    """Read a config.json; None if this module cannot tell the size of the cache from it."""
    try:
        return _shape(raw)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError, OverflowError):
        return None


def quantization(raw: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Return a quantised checkpoint's method, and the bits of a number in the cache; None if not given."""
    config = raw.get("quantization_config") or _text(raw).get("quantization_config") or raw.get("compression_config")
    if not isinstance(config, Mapping):
        return None, None
    scheme = config.get("kv_cache_scheme")
    bits = scheme.get("num_bits") if isinstance(scheme, Mapping) else None
    if bits is None and "FP8" in str(config.get("kv_cache_quant_algo") or "").upper():
        bits = 8
    return str(config.get("quant_method") or "") or None, bits if isinstance(bits, int) and bits > 0 else None


def _shape(raw: Mapping[str, Any]) -> Shape | None:
    nested = _text(raw)
    kind = model_type(raw)
    text = {**raw, **_defaults().get(kind, {}), **{key: value for key, value in nested.items() if value is not None}}
    given = {key: value for key, value in nested.items() if value is not None}
    layers, heads = _first(given, LAYERS, text), _first(given, HEADS, text)
    layers, heads = int(layers), int(heads)
    if not 0 < layers <= MOST_LAYERS:
        return None
    kv_heads = _kv_heads(text, given, kind, heads)
    head_dim = int(
        text.get("head_dim") or text.get("hidden_size_per_head") or int(_first(given, HIDDEN, text)) // heads
    )
    longest, usual = _contexts(text, given, kind)
    latent = given.get("kv_lora_rank")
    if latent:  # one compressed vector a layer in place of keys and values
        values, kv_heads = int(latent) + int(text.get("qk_rope_head_dim") or 0), 1
    else:
        values = 2 * kv_heads * head_dim
    if isinstance(blocks := raw.get("block_configs"), list):
        groups = [block["attention"].get("n_heads_in_group") for block in blocks]
        each = [heads // int(group) for group in groups if group]
        found = Shape(layers, heads, min(each), sum(2 * one * head_dim for one in each), 0, 0, longest, usual)
        return found if _sound(found) else None
    kinds = _kinds(text, nested, kind, layers)
    if kinds is None:
        return None
    window = int(text.get("attention_chunk_size") or _window(text, nested))
    windowed = kinds.count(WINDOWED) if window else 0
    full = kinds.count(FULL) + (0 if window else kinds.count(WINDOWED))
    found = Shape(
        layers,
        heads,
        kv_heads,
        (full + windowed) * values,
        windowed * values,
        window if windowed else 0,
        longest,
        usual,
    )
    return found if _sound(found) else None


def _kinds(text: Mapping[str, Any], given: Mapping[str, Any], kind: str, layers: int) -> list[str] | None:
    """Return which tokens each layer keeps, as FULL, WINDOWED or NO_CACHE; None if that cannot be known."""
    for key in ("layer_types", "layers_block_type", "attn_type_list", "hybrid_override_pattern"):
        if listed := given.get(key):
            return [KINDS.get(one, NO_CACHE) for one in listed]
    if every := text.get("full_attention_interval") or (4 if kind.startswith(("qwen3_next", "qwen3_5")) else 0):
        return [FULL if (at + 1) % int(every) == 0 else NO_CACHE for at in range(layers)]
    if period := text.get("attn_layer_period"):
        offset = int(text.get("attn_layer_offset") or 0)
        return [FULL if at % int(period) == offset else NO_CACHE for at in range(layers)]
    if any(text.get(key) is not None for key in UNREADABLE):
        return None
    kept = min(layers, layers - int(text.get("num_kv_shared_layers") or 0))
    if every := given.get("sliding_window_pattern") or FULL_EVERY.get(kind):
        if isinstance(every, str):
            return [WINDOWED if every[at % len(every)] == "L" else FULL for at in range(kept)]
        return [FULL if (at + 1) % int(every) == 0 else WINDOWED for at in range(kept)]
    # Types with `use_sliding_window` have a window by default and do not use it.
    if not _window(text, given) or text.get("use_sliding_window") is False:
        return [FULL] * kept
    first = int(text["max_window_layers"]) if text.get("use_sliding_window") and "max_window_layers" in text else 0
    return [FULL if at < first else WINDOWED for at in range(kept)]


def _window(text: Mapping[str, Any], given: Mapping[str, Any]) -> int:
    # Null means no window, even if the type has one by default.
    return int((given["sliding_window"] if "sliding_window" in given else text.get("sliding_window")) or 0)


def _kv_heads(text: Mapping[str, Any], given: Mapping[str, Any], kind: str, heads: int) -> int:
    if kind in {"falcon", "gpt_bigcode"} and text.get("multi_query") and not text.get("new_decoder_architecture"):
        return 1
    grouped = text.get("attn_config")
    if isinstance(grouped, Mapping) and grouped.get("kv_n_heads"):
        return int(grouped["kv_n_heads"])
    for key in KV_HEADS:
        if given.get(key):
            return int(given[key])
    # A default belongs to the default number of heads; if only that was changed, it may not fit.
    usual = int(next((text[key] for key in KV_HEADS if text.get(key)), heads))
    return usual if usual <= heads and heads % usual == 0 else heads


def _contexts(text: Mapping[str, Any], given: Mapping[str, Any], kind: str) -> tuple[int, int]:
    lengths = [float(text[key]) for key in CONTEXTS if text.get(key) is not None]
    longest = float(given.get("model_max_length") or min(lengths, default=USUAL_CONTEXT))
    scaling = text.get("rope_scaling") or text.get("rope_parameters") or {}
    how = scaling.get("rope_type", scaling.get("type"))
    if how not in SCALED and "gemma3" not in kind and scaling.get("factor"):
        longest *= float(scaling["factor"])
    usual = longest
    if how in {"longrope", "su"}:
        usual = float(text.get("original_max_position_embeddings") or longest)
    return int(longest), int(usual)


def _sound(found: Shape) -> bool:
    return min(found.layers, found.attention_heads, found.kv_heads, found.context_length, found.default_context) >= 1


def _text(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in NESTED:
        if isinstance(inner := raw.get(key), Mapping) and inner:
            return _text(inner)
    return raw


def _first(given: Mapping[str, Any], names: tuple[str, ...], otherwise: Mapping[str, Any]) -> Any:
    """Return the value of the first of `names` in `given`, else in the defaults. Raises KeyError."""
    for source in (given, otherwise):
        for name in names:
            if source.get(name):
                return source[name]
    raise KeyError(names[0])


@functools.cache
def _defaults() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(DEFAULTS.read_text())
    return found
