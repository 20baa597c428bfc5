"""What a model is, as far as planning needs to know it: read from its own files once, and committed in its manifest.

Facts only, no judgement: whether it fits a GPU is `providers/vast/search/memory_fit.py`'s to say.
"""

from pydantic import BaseModel, ConfigDict, Field


class ModelInfo(BaseModel):
    """Read from config.json and from the headers of the safetensors files.

    `parameters` counts tensor elements (a quantised checkpoint packs several weights into one); `weight_bytes` is what the
    tensors take as stored; `kv_values_per_token` how many numbers the KV cache holds for one token in all layers together;
    `context_length` in tokens. Manifests of older versions have none of the last five: `default_context` is what vLLM serves
    where nothing is said, if that is shorter; `windowed_values_per_token` those of the cache's numbers that lie in layers
    which look back `window` tokens only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    architecture: str
    parameters: int = Field(ge=0)
    dtype: str  # of most of the bytes, as safetensors spells it: BF16, F16, F32, F8_E4M3, I32, ...
    weight_bytes: int = Field(ge=0)
    layers: int = Field(ge=1)
    attention_heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    kv_values_per_token: int = Field(ge=0)
    context_length: int = Field(ge=1)
    quantization: str | None = None
    chat_template: bool = False
    model_type: str | None = None
    default_context: int | None = Field(None, ge=1)
    window: int | None = Field(None, ge=1)
    windowed_values_per_token: int | None = Field(None, ge=0)
    kv_cache_bits: int | None = Field(None, ge=1)  # of one number, where the checkpoint says it

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of KV cache a token in the cache's ordinary 16 bits a number."""
        return 2 * self.kv_values_per_token

    def cached_values(self, context: int) -> int:
        """How many numbers the cache holds for one request of this many tokens."""
        windowed = self.windowed_values_per_token or 0
        return (self.kv_values_per_token - windowed) * context + windowed * min(context, self.window or context)

    def splits_over(self, gpus: int) -> bool:
        """Say whether vLLM can split it over so many GPUs: each gets as many attention heads, and as many heads of the KV
        cache or, of fewer heads than GPUs, a copy of one.
        """
        if self.attention_heads % gpus:
            return False
        return self.kv_heads % gpus == 0 or gpus % self.kv_heads == 0

    @property
    def tensor_parallel_sizes(self) -> tuple[int, ...]:
        """Over how many GPUs vLLM can split it."""
        return tuple(size for size in range(1, self.attention_heads + 1) if self.splits_over(size))
