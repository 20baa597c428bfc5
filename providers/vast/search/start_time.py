"""Estimate how long a start takes; pure: pull and unpack the image, fetch the weights, start vLLM.

Sizes in GB, rates in Mb/s, results in seconds. The market gives no image sizes, so a short table does. An image missing
from the table counts as large as vLLM's own.
"""

from bootstrap import vllm
from providers.vast.limits import LEAST_TOTAL_SECONDS
from providers.vast.search.image_needs import name_and_tag

IMAGE_GB = 11.4  # compressed: vllm/vllm-openai with CUDA
IMAGES_GB = {"vllm/vllm-openai-cpu": 1.0}
UNPACKED_RATIO = 26 / 11.4
UNPACK_GB_PER_SECOND = 0.2  # one process unpacks the layers one after the other
LEAST_LINE_MBPS = 100.0  # assumed rate of a machine if the config sets none
SLOW_SHARE = 0.5  # of the configured download rate; we give back a slower machine
LONGEST_START_SECONDS = vllm.START_SECONDS  # after which a create gives the start up


def image_gb(image: str) -> float:
    """Return the compressed size of an image by its name, without tag or digest."""
    name, _tag = name_and_tag(image)
    return IMAGES_GB.get(name.removeprefix("docker.io/"), IMAGE_GB)


def transfer_seconds(gb: float, mbps: float) -> float:
    """Return the seconds to transfer so many GB on a line."""
    return gb * 8000 / max(mbps, 1.0)


def pull_seconds(gb: float, mbps: float) -> float:
    """Return the seconds from the rent to the container, for an image of this compressed size."""
    return transfer_seconds(gb, mbps) + gb * UNPACKED_RATIO / UNPACK_GB_PER_SECOND


def longest_seconds(boot: float, connect: float, host_key: float, weights_gb: float, wished_mbps: float) -> float:
    """Return the limit for all attempts together: a boot that never succeeds, then one attempt at the slowest pace.

    `boot`, `connect` and `host_key` are the bounds of these steps. Never under two hours.
    """
    slowest = (wished_mbps or LEAST_LINE_MBPS) * SLOW_SHARE
    attempt = 1.5 * boot + host_key + connect + transfer_seconds(weights_gb, slowest) + LONGEST_START_SECONDS
    return max(LEAST_TOTAL_SECONDS, boot + attempt)


def too_late(weights_gb: float, wished_mbps: float, image: float, time_scale: float, total: float) -> str | None:
    """Return a sentence if image and weights cannot arrive within `total` seconds at the wished rate, else None.

    The image arrives by the market's clock, which runs `time_scale` times as fast as ours.
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
