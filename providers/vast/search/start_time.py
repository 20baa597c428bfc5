"""How long a start takes by sizes and lines, pure: pull and unpack the image, fetch the weights, start the engine.

Sizes in GB, rates in Mb/s, results in seconds. The market does not say how large an image is, so a short table does;
an image that the table lacks counts as large as vLLM's own.
"""

from providers.vast.search.image_needs import name_and_tag

IMAGE_GB = 11.4  # compressed: vllm/vllm-openai with CUDA
IMAGES_GB = {"vllm/vllm-openai-cpu": 1.0}
UNPACKED_RATIO = 26 / 11.4
UNPACK_GB_PER_SECOND = 0.2  # layers are unpacked one after the other, by one process
LEAST_LINE_MBPS = 100.0  # believed of a machine where the config wishes no rate
SLOW_SHARE = 0.5  # of the wished download rate: below it a machine is given back
LONGEST_START_SECONDS = 900.0  # which a starting vLLM gets at most
LEAST_TOTAL_SECONDS = 120 * 60.0


def image_gb(image: str) -> float:
    """Return the compressed size of an image by its name, tag or digest left aside."""
    name, _tag = name_and_tag(image)
    return IMAGES_GB.get(name.removeprefix("docker.io/"), IMAGE_GB)


def transfer_seconds(gb: float, mbps: float) -> float:
    """Return how long so much takes on a line."""
    return gb * 8000 / max(mbps, 1.0)


def pull_seconds(gb: float, mbps: float) -> float:
    """Return how long an image of this compressed size takes from the rent to the container."""
    return transfer_seconds(gb, mbps) + gb * UNPACKED_RATIO / UNPACK_GB_PER_SECOND


def longest_seconds(boot: float, connect: float, host_key: float, weights_gb: float, wished_mbps: float) -> float:
    """Return what all attempts together may take: a boot that never comes, then an attempt as slow as one may be.

    `boot`, `connect` and `host_key`: their own bounds. Never under two hours.
    """
    slowest = (wished_mbps or LEAST_LINE_MBPS) * SLOW_SHARE
    attempt = 1.5 * boot + host_key + connect + transfer_seconds(weights_gb, slowest) + LONGEST_START_SECONDS
    return max(LEAST_TOTAL_SECONDS, boot + attempt)


def too_late(weights_gb: float, wished_mbps: float, image: float, time_scale: float, total: float) -> str | None:
    """Say that image and weights cannot come at the wished rate before the end of `total` seconds; None where they can.

    The image comes by the market's clock, which runs `time_scale` times as fast as ours.
    """
    if not wished_mbps:
        return None
    pull, fetch = pull_seconds(image, wished_mbps) / time_scale, transfer_seconds(weights_gb, wished_mbps)
    if pull + fetch <= total:
        return None
    return (
        f"at downloadMbps {wished_mbps:g} the image takes {pull / 60:.0f} min and the weights ({weights_gb:.1f} GB) "
        f"{fetch / 60:.0f} min, but limits.totalMinutes is {total / 60:.0f}: raise one of the two"
    )
