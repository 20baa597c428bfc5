"""What a model is, as far as planning needs to know it: read from its own files once, and committed in its manifest.

Facts only, no judgement: whether it fits a GPU is `providers/vast/fit.py`'s to say.
"""

from pydantic import BaseModel, ConfigDict, Field


class About(BaseModel):
    """Read from config.json and from the headers of the safetensors files.

    `parameters` counts tensor elements (a quantised checkpoint packs several weights into one); `weight_bytes` is what the
    tensors take as stored; `kv_values_per_token` how many numbers the KV cache holds for one token in all layers together;
    `context_length` in tokens.
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

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of KV cache a token in the cache's ordinary 16 bits a number."""
        return 2 * self.kv_values_per_token

    @property
    def tensor_parallel_sizes(self) -> tuple[int, ...]:
        """In how many GPUs vLLM can split it: the divisors of its attention heads."""
        return tuple(size for size in range(1, self.attention_heads + 1) if self.attention_heads % size == 0)
