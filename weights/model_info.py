"""Hold the facts about a model that planning needs: read from its files once, and committed in its manifest.

Facts only: `providers/vast/search/memory_fit.py` decides whether the model fits a GPU.
"""

from pydantic import BaseModel, ConfigDict, Field


class ModelInfo(BaseModel):
    """Hold the facts of config.json and of the headers of the safetensors files.

    `parameters` counts tensor elements; a quantised checkpoint packs several weights into one. `weight_bytes`: bytes of
    the tensors as stored. `kv_values_per_token`: numbers in the KV cache for one token, over all layers.
    `context_length`: in tokens. Manifests of older versions lack the last five. `default_context`: the context that vLLM
    serves by default, if that is shorter. `windowed_values_per_token`: those numbers of the cache that lie in layers which
    look back `window` tokens only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    architecture: str
    parameters: int = Field(ge=0)
    dtype: str  # type of most bytes, as safetensors spells it: BF16, F16, F32, F8_E4M3, I32, ...
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
    kv_cache_bits: int | None = Field(None, ge=1)  # of one number in the cache; None if the checkpoint does not say

    @property
    def kv_bytes_per_token(self) -> int:
        """Return the bytes of KV cache for one token, at the cache's default of 16 bits a number."""
        return 2 * self.kv_values_per_token

    def cached_values(self, context: int) -> int:
        """Return how many numbers the cache holds for one request of `context` tokens."""
        windowed = self.windowed_values_per_token or 0
        return (self.kv_values_per_token - windowed) * context + windowed * min(context, self.window or context)

    def splits_over(self, gpus: int) -> bool:
        """Return whether vLLM can split the model over so many GPUs.

        Each GPU must get equally many attention heads, and equally many heads of the KV cache. If there are fewer of the
        latter than GPUs, each GPU gets a copy of one.
        """
        if self.attention_heads % gpus:
            return False
        return self.kv_heads % gpus == 0 or gpus % self.kv_heads == 0

    @property
    def tensor_parallel_sizes(self) -> tuple[int, ...]:
        """Return the numbers of GPUs over which vLLM can split the model."""
        return tuple(size for size in range(1, self.attention_heads + 1) if self.splits_over(size))
