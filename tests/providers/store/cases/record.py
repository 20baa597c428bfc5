"""Record beside each config.json in a file what vLLM 0.32 itself makes of it.

PYTHON tests/providers/store/cases/record.py tests/providers/store/cases/configs.json

PYTHON is that of the environment that set-up makes for vLLM. Nothing is loaded: the configs hold the published values of the
fields that say how large a model is, and vLLM's own code reads them.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from vllm.config.model import _ATTENTION_LAYER_TYPES, _get_and_verify_max_len
from vllm.transformers_utils.config import get_config, get_hf_text_config
from vllm.transformers_utils.model_arch_config_convertor import (
    MODEL_ARCH_CONFIG_CONVERTORS,
    ModelArchConfigConvertorBase,
)

WINDOWED = ("sliding_attention", "chunked_attention")


def computed(config: dict[str, Any]) -> dict[str, Any]:
    """Return layers by kind, heads, the head's size and the context, as vLLM has them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config))
        whole = get_config(folder, trust_remote_code=False)
        text = get_hf_text_config(whole)
        convertor = MODEL_ARCH_CONFIG_CONVERTORS.get(whole.model_type, ModelArchConfigConvertorBase)(whole, text)
        layers = convertor.get_num_hidden_layers()
        # Where no list says it, a window is every layer's.
        usual = "sliding_attention" if getattr(text, "sliding_window", None) else "full_attention"
        kinds = getattr(text, "layers_block_type", None) or getattr(text, "layer_types", None) or [usual] * layers
        return {
            "layers": layers,
            "full_layers": sum(kind in _ATTENTION_LAYER_TYPES or kind == "attention" for kind in kinds),
            "windowed_layers": sum(kind in WINDOWED for kind in kinds),
            "window": getattr(text, "sliding_window", None),
            "attention_heads": convertor.get_total_num_attention_heads(),
            "kv_heads": convertor.get_total_num_kv_heads(),
            "head_size": convertor.get_head_size(),
            "mla": convertor.is_deepseek_mla(),
            "context": _get_and_verify_max_len(text, convertor.convert(), None, None, False, None),
        }


def main() -> None:
    """Write the file anew."""
    file = Path(sys.argv[1])
    rows = [{**row, "vllm": computed(row["config"])} for row in json.loads(file.read_text())]
    file.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
