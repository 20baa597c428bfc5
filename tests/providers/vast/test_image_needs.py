"""What an image needs of a machine follows from its name, and only where its name says so."""

from dataclasses import replace

import pytest

from providers.vast.search import mismatches, query
from providers.vast.search.image_needs import Needs, image_cuda, needs_of
from tests.doubles.market import offer
from tests.providers.vast.test_memory_fit import LLAMA_8B
from tests.providers.vast.test_ranking import REQUIREMENTS


@pytest.mark.parametrize(
    ("image", "cuda"),
    [
        ("vllm/vllm-openai:v0.32.0", 13.0),
        ("docker.io/vllm/vllm-openai:v0.20.0", 13.0),
        ("vllm/vllm-openai:v0.32.0-cu129", 12.9),
        ("vllm/vllm-openai:v0.32.0-cu129@sha256:" + "a" * 64, 12.9),
        ("registry.example:5000/mirror/vllm-openai:v0.19.1", 12.9),
        ("vllm/vllm-openai:v0.11.0", 12.8),
        ("vllm/vllm-openai:v0.9.0-x86_64", 12.8),
        ("vllm/vllm-openai:v0.8.5", 12.4),
        ("vllm/vllm-openai:latest", 13.0),
        ("vllm/vllm-openai", 13.0),
        ("vllm/vllm-openai@sha256:" + "a" * 64, 13.0),
        ("registry.example/mirror/vllm-openai@sha256:" + "a" * 64, 13.0),
        ("vllm/vllm-openai:v0.11.0@sha256:" + "a" * 64, 12.8),
        ("vllm/vllm-openai:nightly-" + "0" * 40, 13.0),
        ("vllm/vllm-openai:nightly-aarch64", 13.0),
        ("vllm/vllm-openai:latest-x86_64", 13.0),
        ("vllm/vllm-openai:cu129-nightly-" + "0" * 40, 12.9),
        ("vllm/vllm-openai:gptoss", 13.0),
        ("docker.io/vllm/vllm-openai:gptoss", 13.0),
        ("registry.example/own/vllm-openai:mine", None),
        ("vastai/vllm:v0.11.0-cuda-12.8-py312", 12.8),
        ("pytorch/pytorch:2.4.0-cuda12.1-cudnn9-runtime", 12.1),
        ("vllm/vllm-openai-cpu:v0.32.0", 0.0),
        ("public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo:v0.10.0", 0.0),
        ("somebody/vllm:1", None),
    ],
)
def test_the_cuda_of_an_image(image: str, cuda: float | None) -> None:
    assert image_cuda(image) == cuda


@pytest.mark.parametrize(
    ("image", "arguments", "capability"),
    [
        ("vllm/vllm-openai:v0.32.0", (), 750),
        ("vllm/vllm-openai:v0.11.0", (), 700),
        ("vllm/vllm-openai:v0.32.0", ("--dtype", "bfloat16"), 800),
        ("vllm/vllm-openai:v0.32.0", ("--dtype=bfloat16",), 800),
        ("vllm/vllm-openai:v0.32.0", ("--dtype", "auto"), 750),
        ("vllm/vllm-openai:v0.32.0", ("--quantization", "fp_quant"), 1000),
        ("somebody/vllm:1", ("-q", "mxfp4"), 800),
        ("vllm/vllm-openai-cpu:v0.32.0", ("--dtype", "bfloat16"), 0),
    ],
)
def test_the_architecture_that_image_dtype_and_quantization_need(
    image: str, arguments: tuple[str, ...], capability: int
) -> None:
    assert needs_of(image, arguments, None).capability == capability


def test_a_quantized_model_needs_what_its_method_needs() -> None:
    about = LLAMA_8B.model_copy(update={"dtype": "F16", "quantization": "mxfp4"})

    assert needs_of("somebody/vllm:1", (), about).capability == 800


def test_a_floor_of_ones_own_overrides_the_images() -> None:
    assert needs_of("vllm/vllm-openai:v0.32.0", (), None, 12.4).cuda == 12.4
    assert needs_of("somebody/vllm:1", (), None, 12.4).cuda == 12.4


def test_an_image_whose_name_tells_no_version_is_as_old_as_ones_own_floor_says() -> None:
    digest = "vllm/vllm-openai@sha256:" + "a" * 64

    assert needs_of(digest, (), None).capability == 750
    assert needs_of(digest, (), None, 12.8) == Needs(12.8, 700, f"the image {digest}")
    assert needs_of("vllm/vllm-openai:v0.32.0", (), None, 12.4).capability == 750


def test_the_last_of_an_option_counts_in_any_of_its_spellings_as_in_vllm() -> None:
    assert needs_of("somebody/vllm:1", ("--dtype", "half", "--dtype", "bfloat16"), None).capability == 800
    assert needs_of("somebody/vllm:1", ("--dtype=bfloat16", "--dtype", "half"), None).capability == 0
    assert needs_of("somebody/vllm:1", ("--quantization", "mxfp4", "-q", "gptq"), None).capability == 0
    assert needs_of("somebody/vllm:1", ("--quantiz", "mxfp4"), None).capability == 800


def test_the_floors_are_asked_for_and_looked_at_again() -> None:
    requirements = replace(REQUIREMENTS, min_cuda=12.8, min_capability=890)

    body = query.query(requirements)
    assert (body["cuda_max_good"], body["compute_cap"]) == ({"gte": 12.8}, {"gte": 890})
    assert mismatches.mismatches(offer(1, cuda_max_good=12.8, compute_cap=890), requirements) == []
    [old, early] = mismatches.mismatches(offer(1, cuda_max_good=12.4, compute_cap=860), requirements)
    assert (old.key, old.text) == ("minCuda", "supports CUDA 12.4, 12.8 is the least")
    assert early.text == "has compute capability 8.6, 8.9 is the least"


def test_what_an_offer_does_not_say_keeps_no_bound() -> None:
    silent = offer(1, cuda_max_good=None, compute_cap=None, cpu_cores_effective=None, cpu_ram=None, hosting_type=None)
    requirements = replace(REQUIREMENTS, min_cuda=12.8, min_capability=750, cpu_cores=4, memory_gb=32, datacenter=True)

    assert mismatches.mismatches(silent, REQUIREMENTS) == []
    keys = ["minCuda", "compute capability", "cpuCores", "memoryGb", "hosting"]
    assert [miss.key for miss in mismatches.mismatches(silent, requirements)] == keys


def test_a_slice_has_its_share_of_the_machines_memory() -> None:
    requirements = replace(REQUIREMENTS, memory_gb=64, cpu_cores=8)
    quarter = offer(1, cpu_ram=128_000, cpu_cores=64, cpu_cores_effective=16)

    assert quarter.memory_gb == 32
    assert [miss.key for miss in mismatches.mismatches(quarter, requirements)] == ["memoryGb"]
    assert query.query(requirements)["cpu_cores_effective"] == {"gte": 8}


def test_data_centres_are_asked_for() -> None:
    requirements = replace(REQUIREMENTS, datacenter=True)

    assert query.query(requirements)["datacenter"] == {"eq": True}
    assert mismatches.mismatches(offer(1, hosting_type=1), requirements) == []
    assert [miss.key for miss in mismatches.mismatches(offer(1, hosting_type=0), requirements)] == ["hosting"]
