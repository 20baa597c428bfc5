"""Tell the requirements of a vLLM image on its machine; pure: the driver's CUDA and the oldest GPU architecture.

If an image is made for a newer CUDA than the driver supports, its container never starts: `unsatisfied condition:
cuda>=12.8`. Users and Dockerfiles of vLLM reported the floors of its own images: 12.4 from 0.4.3, 12.8 from 0.9.0, 12.9
from 0.11.1, 13.0 from 0.20.0. An image without a version in its name counts as the newest. Users with better knowledge
set `minCuda`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from providers.vast.search.serving_options import options, value
from weights.model_info import ModelInfo

FLOORS = (((0, 20, 0), 13.0), ((0, 11, 1), 12.9), ((0, 9, 0), 12.8), ((0, 4, 3), 12.4), ((0, 0, 0), 12.1))
OWN = "vllm/vllm-openai"  # vLLM's own repository, so every tag there is an image with vLLM
OPENAI, CPU = re.compile(r"(^|/)vllm-openai$"), re.compile(r"(^|[/-])cpu($|[-:])|vllm-cpu|-cpu$")
NEWEST = re.compile(r"(latest|nightly)($|-)")  # nightly-<commit>, latest-x86_64
MARK = re.compile(r"(?:^|[-_.])(?:cu|cuda-?)(\d\d)\.?(\d)(?![\d])")  # -cu129, cuda-12.8, cuda12.4
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
# CUDA 13 dropped Maxwell, Pascal and Volta; older images are built for 7.0 and up.
OLDEST = ((13.0, 750), (0.1, 700))
# vLLM's own floors (get_min_capability of each method). Other methods have no floor, or one that every image has.
METHODS = {
    "fp_quant": 1000,
    "experts_int8": 800,
    "fbgemm_fp8": 800,
    "modelopt": 800,
    "modelopt_mxfp8": 800,
    "mxfp4": 800,
    "gpt_oss_mxfp4": 800,
    "fp8": 750,
    "awq": 750,
    "awq_marlin": 750,
    "auto_awq": 750,
    "modelopt_fp4": 750,
    "torchao": 750,
}


@dataclass(frozen=True)
class Needs:
    """The needs of an image and a model: driver and GPU.

    `cuda`: CUDA version (0: none; None: unknown). `capability`: compute capability times 100 (0: none). `why`: the
    reason in words. `by_image` and `by_model`: capabilities that the image alone needs, and that dtype and quantization
    need. `is_set`: the CUDA is the user's own floor, `minCuda`.
    """

    cuda: float | None
    capability: int
    why: str = ""
    by_image: int = field(default=0, compare=False)
    by_model: int = field(default=0, compare=False)
    is_set: bool = field(default=False, compare=False)


NOTHING_NEEDED = Needs(0, 0)


def image_cuda(image: str) -> float | None:
    """Return an image's CUDA; 0 for an image for processors, None if its name gives no CUDA."""
    stated = _stated_cuda(image)
    if stated is not None:
        return stated
    name, tag = name_and_tag(image)
    unknown = not tag or NEWEST.match(tag) or name.removeprefix("docker.io/") == OWN  # such as :gptoss
    return FLOORS[0][1] if OPENAI.search(name) and unknown else None


def _stated_cuda(image: str) -> float | None:
    """Return the CUDA that the image's name or tag states, or None."""
    name, tag = name_and_tag(image)
    if CPU.search(name) or CPU.search(tag):
        return 0.0
    if mark := MARK.search(tag):
        return float(f"{mark[1]}.{mark[2]}")
    version = VERSION.match(tag)
    if version is None or not OPENAI.search(name):
        return None
    number = tuple(map(int, version.groups()))
    return next(cuda for least, cuda in FLOORS if number >= least)


def needs_of(image: str, arguments: Sequence[str], about: ModelInfo | None, min_cuda: float = 0) -> Needs:
    """Return the needs of an image, vLLM's arguments and a model. `min_cuda` overrides the image's CUDA."""
    cuda, stated, given = image_cuda(image), _stated_cuda(image), options(arguments)
    # A name without a version counts as the newest image, unless the user set minCuda.
    built_for = stated if stated is not None or cuda is None else min_cuda or cuda
    reasons = [(_oldest(built_for), f"the image {image}")] if built_for else []
    if value(given, "--dtype") == "bfloat16":
        reasons.append((800, "--dtype bfloat16"))
    method = value(given, "--quantization", "-q") or (about.quantization if about else None)
    if method in METHODS:
        reasons.append((METHODS[method], f"quantization {method}"))
    if cuda == 0.0:  # no GPU is in use
        reasons = []
    capability, why = max(reasons, default=(0, ""))
    by_image = _oldest(built_for) if built_for and reasons else 0
    by_model = max((least for least, what in reasons if not what.startswith("the image ")), default=0)
    return Needs(min_cuda or cuda, capability, why, by_image, by_model, min_cuda > 0)


def older_images() -> tuple[str, int]:
    """Return words for the images that still run on GPUs the newest dropped, and their least compute capability."""
    cuda, least = OLDEST[0][0], OLDEST[1][1]
    first = min(version for version, floor in FLOORS if floor >= cuda)
    return f"an image for a CUDA older than {cuda:g}, such as vLLM's before {'.'.join(map(str, first))}", least


def _oldest(cuda: float) -> int:
    return next((capability for least, capability in OLDEST if cuda >= least), 0)


def name_and_tag(image: str) -> tuple[str, str]:
    """Split an image into name and tag, without its digest; the tag is empty if the image has none."""
    name = image.partition("@")[0]
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return (f"{head}/{last}" if head else last), tag
