"""Writes the tiny model: a complete Llama checkpoint of 281 KB that the real vLLM serves on a CPU.

    python -m sandbox.model [FOLDER]      writes it (default: models/tiny) unless it is there already

Its answers are noise. Its bytes are the same on every machine, so git can hold its manifest as any other model's.
Three choices have reasons. The heads have 32 dimensions: vLLM's CPU attention lacks 16, and fails only at the first
request. The numbers are float16: bfloat16 kills the worker on some CPUs. The vocabulary is exactly the tokenizer's,
so every sampled id decodes.
"""

import hashlib
import json
import math
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from weights.manifest import Manifest, mismatches, of_folder

NAME = "tiny"
SEED = b"gpu-fleet tiny model, first edition"
HIDDEN, INTERMEDIATE, LAYERS, HEADS, HEAD_DIM = 64, 128, 2, 2, 32
CONTEXT = 2048
SPREAD = 0.05
PAD, BOS, EOS = 0, 1, 2
SPECIAL = ("<|pad|>", "<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>")
VOCABULARY = 416  # fewer than the corpus yields, so the tokenizer has exactly this many
CORPUS = (
    "A fleet is a named group of like instances in stack config.",
    "An instance is one rented machine, and a host is an instance seen over SSH.",
    "The offer is what the market lists; the machine is the landlord's hardware.",
    "Search the market, rank the offers, rent the best one and wait until it runs.",
    "Connect, look before the big download, install the kit and fetch the weights.",
    "Start the server, probe one completion through the gate, and export the endpoint.",
    "Give back what is not needed: drain, destroy, and confirm that it is gone.",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind.",
)
Tensor = npt.NDArray[np.float16]

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write(folder: Path) -> Manifest:
    """Write the model to `folder` unless a complete one is there, and return its manifest.

    The folder appears whole or not at all; this replaces an old or damaged one. Raises OSError (disk full, no
    permission), and FileExistsError if the folder holds other files: a typing error must not cost the user other files.
    """
    files = _files()
    if folder.exists() and (strangers := sorted(path.name for path in folder.iterdir() if path.name not in files)):
        raise FileExistsError(0, f"it holds other files, such as {strangers[0]}; name another folder", str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in files.items():
            (made / name).write_bytes(content)
        made.chmod(0o755)
        manifest = of_folder(NAME, made)
        if folder.is_dir() and not mismatches(manifest, folder):
            return manifest
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return manifest


def _files() -> dict[str, bytes]:
    ids = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": "float16",
        **ids,
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": SPECIAL[PAD],
        "bos_token": SPECIAL[BOS],
        "eos_token": SPECIAL[EOS],
        "add_bos_token": False,
        "model_max_length": CONTEXT,
        "chat_template": TEMPLATE,
    }
    return {
        "tokenizer.json": _tokenizer().to_str(pretty=False).encode(),
        "tokenizer_config.json": _json(tokenizer_config),
        "chat_template.jinja": TEMPLATE.encode(),
        "config.json": _json(config),
        "generation_config.json": _json(ids),
        "model.safetensors": _safetensors(dict(_tensors())),
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _tokenizer() -> Tokenizer:
    """Train byte-level BPE on the corpus: 256 bytes, five special tokens and the corpus's merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _tensors() -> Iterator[tuple[str, Tensor]]:
    yield "model.embed_tokens.weight", _normal("embed", VOCABULARY, HIDDEN)
    attention = HEADS * HEAD_DIM
    for index in range(LAYERS):
        layer = f"model.layers.{index}"
        shapes = {
            "self_attn.q_proj": (attention, HIDDEN),
            "self_attn.k_proj": (attention, HIDDEN),
            "self_attn.v_proj": (attention, HIDDEN),
            "self_attn.o_proj": (HIDDEN, attention),
            "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
            "mlp.up_proj": (INTERMEDIATE, HIDDEN),
            "mlp.down_proj": (HIDDEN, INTERMEDIATE),
        }
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}.{norm}.weight", np.ones(HIDDEN, np.float16)
        for part, shape in shapes.items():
            yield f"{layer}.{part}.weight", _normal(f"{layer}.{part}", *shape)
    yield "model.norm.weight", np.ones(HIDDEN, np.float16)
    yield "lm_head.weight", _normal("lm_head", VOCABULARY, HIDDEN)


def _normal(name: str, rows: int, columns: int) -> Tensor:
    """Return nearly normal float16 numbers from SHAKE-256, in whole-number arithmetic until the last step.

    A sum of twelve uniform numbers is normal enough for weights. Unlike a library's generator or a logarithm, it
    gives the same bits with every version and on every CPU.
    """
    count = rows * columns
    stream = hashlib.shake_256(SEED + name.encode()).digest(count * 12 * 2)
    sums = np.frombuffer(stream, "<u2").reshape(count, 12).astype(np.int64).sum(axis=1)
    centred = sums - 6 * 65535  # the variance of the sum is that of one uniform number of width 65536
    weights: Tensor = (centred * (SPREAD / 65536)).astype(np.float16).reshape(rows, columns)
    return weights


def _safetensors(tensors: dict[str, Tensor]) -> bytes:
    """Return the file: length of the header, the header padded to 8 bytes, then the tensors in the header's order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        size = math.prod(tensor.shape) * tensor.itemsize
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(tensor.astype("<f2").tobytes() for tensor in tensors.values())


def main(arguments: list[str]) -> int:
    """Write the model to the folder of the first argument, print its size, and return the exit status."""
    folder = Path(arguments[0]) if arguments else Path(os.curdir) / "models" / NAME
    try:
        manifest = write(folder)
    except OSError as error:
        print(f"The tiny model cannot be written to {folder}: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"{folder}: {len(manifest.files)} files, {manifest.total_bytes} bytes, digest {manifest.digest[:12]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
