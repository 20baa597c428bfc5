"""What an image with vLLM needs of a machine, pure: the CUDA that its driver must support, and the oldest architecture.

A container whose image is of a newer CUDA than the driver supports never starts: `unsatisfied condition: cuda>=12.8`. The
floors of vLLM's own images are those that its users and Dockerfiles reported: 12.4 from 0.4.3, 12.8 from 0.9.0, 12.9 from
0.11.1, 13.0 from 0.20.0. One whose name tells no version counts as the newest; `minCuda` is for those who know better.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from providers.vast.search.serving_options import options, value
from weights.model_info import ModelInfo

FLOORS = (((0, 20, 0), 13.0), ((0, 11, 1), 12.9), ((0, 9, 0), 12.8), ((0, 4, 3), 12.4), ((0, 0, 0), 12.1))
OWN = "vllm/vllm-openai"  # vLLM's repository: its tags are all of vLLM's making
OPENAI, CPU = re.compile(r"(^|/)vllm-openai$"), re.compile(r"(^|[/-])cpu($|[-:])|vllm-cpu|-cpu$")
NEWEST = re.compile(r"(latest|nightly)($|-)")  # nightly-<commit>, latest-x86_64
MARK = re.compile(r"(?:^|[-_.])(?:cu|cuda-?)(\d\d)\.?(\d)(?![\d])")  # -cu129, cuda-12.8, cuda12.4
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
# CUDA 13 has left Maxwell, Pascal and Volta behind; the images of before are built for 7.0 and up.
OLDEST = ((13.0, 750), (0.1, 700))
# vLLM's own floors (get_min_capability of each method); what is not here has none, or one that every image has.
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
    """What a driver and a GPU must have: a CUDA version (0: none; None: nothing is known), a compute capability times 100
    (0: none), and the words that say why. `by_image` and `by_model` are the capabilities that the image by itself needs, and
    dtype and quantization; `is_set`: the CUDA is the user's own floor, `minCuda`.
    """

    cuda: float | None
    capability: int
    why: str = ""
    by_image: int = field(default=0, compare=False)
    by_model: int = field(default=0, compare=False)
    is_set: bool = field(default=False, compare=False)


NOTHING_NEEDED = Needs(0, 0)


def image_cuda(image: str) -> float | None:
    """Return the CUDA that an image is made for; 0 for one of processors, None where its name says nothing."""
    told = _told_cuda(image)
    if told is not None:
        return told
    name, tag = name_and_tag(image)
    unknown = not tag or NEWEST.match(tag) or name.removeprefix("docker.io/") == OWN  # such as :gptoss
    return FLOORS[0][1] if OPENAI.search(name) and unknown else None


def _told_cuda(image: str) -> float | None:
    """Return what the name says by itself."""
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
    """Return what image, vLLM's arguments and model need; `min_cuda` overrides what follows from the image."""
    cuda, told, given = image_cuda(image), _told_cuda(image), options(arguments)
    # A name that tells nothing is taken for the newest, unless its user knows better.
    built_for = told if told is not None or cuda is None else min_cuda or cuda
    reasons = [(_oldest(built_for), f"the image {image}")] if built_for else []
    if value(given, "--dtype") == "bfloat16":
        reasons.append((800, "--dtype bfloat16"))
    method = value(given, "--quantization", "-q") or (about.quantization if about else None)
    if method in METHODS:
        reasons.append((METHODS[method], f"quantization {method}"))
    if cuda == 0.0:  # no GPU does any of the work
        reasons = []
    capability, why = max(reasons, default=(0, ""))
    by_image = _oldest(built_for) if built_for and reasons else 0
    by_model = max((least for least, what in reasons if not what.startswith("the image ")), default=0)
    return Needs(min_cuda or cuda, capability, why, by_image, by_model, min_cuda > 0)


def older_images() -> tuple[str, int]:
    """Name the images that run on GPUs which the newest ones have left behind, and the least capability that they need."""
    cuda, least = OLDEST[0][0], OLDEST[1][1]
    first = min(version for version, floor in FLOORS if floor >= cuda)
    return f"an image for a CUDA older than {cuda:g}, such as vLLM's before {'.'.join(map(str, first))}", least


def _oldest(cuda: float) -> int:
    return next((capability for least, capability in OLDEST if cuda >= least), 0)


def name_and_tag(image: str) -> tuple[str, str]:
    """Split an image's name, a digest left aside; the tag is empty where none is named."""
    name = image.partition("@")[0]
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return (f"{head}/{last}" if head else last), tag
