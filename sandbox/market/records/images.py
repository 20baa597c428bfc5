"""The size of each image, and the CUDA that its container requires of the driver.

The table does not come from the product's own figures. Sizes are rounded from those of registries and users.
"""

import re
from dataclasses import dataclass

_VLLM = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class Image:
    """Sizes in GB. `cuda` is the least version that the driver must support; None if the container needs no GPU."""

    compressed_gb: float
    unpacked_gb: float
    cuda: float | None = None


_SIZES = {
    "vllm/vllm-openai": (11.4, 26.0),
    "vllm/vllm-openai-cpu": (0.9, 2.4),  # the image of the sandbox's own stack
    "vastai/base-image": (5.1, 12.0),
    "vastai/vllm": (12.0, 28.0),
}
_OTHER = (0.6, 1.6)


def image_of(name: str) -> Image:
    """Return the figures of an image by its name, such as `vllm/vllm-openai:v0.32.0`."""
    path, _, tag = name.partition("@")[0].removeprefix("docker.io/").rpartition(":")
    repository, tag = (path, tag) if path and "/" not in tag else (name.partition("@")[0], "latest")
    compressed, unpacked = _SIZES.get(repository, _OTHER)
    return Image(compressed, unpacked, _cuda(repository, tag))


def _cuda(repository: str, tag: str) -> float | None:
    if repository != "vllm/vllm-openai":
        return None
    suffix = re.search(r"-cu(\d\d)(\d)\b", tag)
    if suffix:
        return float(f"{suffix[1]}.{suffix[2]}")
    version = _VLLM.match(tag)
    if version and (int(version[1]), int(version[2])) < (0, 20):
        return 12.8 if (int(version[1]), int(version[2])) >= (0, 9) else 12.4
    return 13.0
