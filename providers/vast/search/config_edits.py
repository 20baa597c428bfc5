"""Propose the change to the config that makes machines fit if they fail one requirement; pure.

The proposed number opens all machines that the text counts: rounding never excludes one of them.
"""

import math
from collections.abc import Callable, Collection
from typing import NamedTuple

from providers.vast.api.contract_end import DAY, WARNED_SECONDS
from providers.vast.api.offer import Offer
from providers.vast.search.image_needs import older_images
from providers.vast.search.prices import usd_per_hour
from providers.vast.search.requirements import Requirements

CUDA, CAPABILITY, IMAGE = "minCuda", "compute capability", "image"
LESS = "serve the model with less memory, or name a larger GPU beside"
REPLACES = " Another image replaces what runs."


class Edit(NamedTuple):
    """A change to the config, the number of machines it opens, and its effect on running instances.

    `opens` is 0 if no key of the config opens any machine; `text` then gives the reason.
    """

    text: str
    opens: int
    after: str = ""


def failed_requirement(keys: Collection[str], requirements: Requirements) -> str | None:
    """Return the one requirement behind the keys that an offer fails, or None if there are several.

    An image stands behind two keys: the CUDA of the driver and the architecture of the GPU.
    """
    needs = requirements.needs
    if set(keys) == {CUDA, CAPABILITY} and needs.by_image > max(needs.by_model, older_images()[1]) and not needs.is_set:
        return IMAGE
    return next(iter(keys)) if len(keys) == 1 else None


def edit(key: str, machines: Collection[Offer], requirements: Requirements) -> Edit:
    """Return the smallest change that opens as many machines as the fleet wants instances, if there are so many."""
    lowered: dict[str, tuple[Callable[[Offer], float], int]] = {
        "reliability": (lambda offer: offer.reliable, 3),
        "downloadMbps": (lambda offer: offer.inet_down, 0),
        "diskGb": (lambda offer: offer.disk_space, 0),
        "gpu.ramGb": (lambda offer: offer.gpu_ram / 1000, 1),
        "cpuCores": (lambda offer: offer.cpu_cores_effective or 0.0, 1),
        "memoryGb": (lambda offer: offer.memory_gb or 0.0, 1),
    }
    if key in lowered:
        has, digits = lowered[key]
        values = sorted(map(has, machines), reverse=True)
        bound = _rounded(values[: requirements.instances][-1], digits, math.floor)
        return Edit(f"lower {key} to {bound:.{digits}f}", sum(value >= bound for value in values))
    special = {"maxUsdPerHour": _price, CUDA: _cuda, CAPABILITY: _capability, IMAGE: _image, "minDays": _days}
    if key in special:
        return special[key](machines, requirements)
    countries = ", ".join(sorted({offer.country for offer in machines}))
    stays = " Leave those in that stand there: an instance in a country that is not named any more is replaced."
    smaller = " Other arguments take effect in place; a GPU name that is taken out replaces what runs on it."
    named = {
        "regions": Edit(f"add {countries} to regions", len(machines), stays),
        "verified": Edit("set verified to false", len(machines)),
        "hosting": Edit("set hosting to any", len(machines)),
        "vllmArguments": Edit(LESS, len(machines), smaller),
        "memory": Edit(LESS, len(machines)),
        "machine": Edit("wait: the machines that fit have failed in this update", len(machines)),
        "ports": Edit(f"SSH and the endpoint need {requirements.ports} direct ports, which they do not have", 0),
        "rentable": Edit("others rent them now", 0),
    }
    return named.get(key, Edit(f"they differ in {key}", 0))


def _price(machines: Collection[Offer], requirements: Requirements) -> Edit:
    prices = sorted(usd_per_hour(offer, requirements) for offer in machines)
    bound = _rounded(prices[: requirements.instances][-1], 3, math.ceil)
    text = f"raise maxUsdPerHour from {requirements.max_usd_per_hour:g} to {bound:.3f}"
    return Edit(text, sum(price <= bound for price in prices), " It replaces no instance that runs for less.")


def _cuda(machines: Collection[Offer], requirements: Requirements) -> Edit:
    known = sorted((offer.cuda_max_good for offer in machines if offer.cuda_max_good), reverse=True)
    if not known:
        return Edit("the market does not say which CUDA their drivers support", 0)
    newest = known[: requirements.instances][-1]
    opens = sum(cuda >= newest for cuda in known)
    if requirements.needs.is_set:  # an image for an older CUDA would change nothing then
        return Edit(f"lower minCuda to {newest:g}, if the image runs with that CUDA", opens)
    text = f"take an image for CUDA {newest:g} or older, or set minCuda where you know better"
    return Edit(text, opens, f"{REPLACES} minCuda alone replaces nothing.")


def _capability(machines: Collection[Offer], requirements: Requirements) -> Edit:
    known = [offer.compute_cap for offer in machines if offer.compute_cap]
    if not known:
        return Edit("the market does not say their compute capability", 0)
    by_image, older, least = requirements.needs.by_image, *older_images()
    by_model = requirements.needs.by_model if by_image else requirements.min_capability
    take, serve = f"take {older}", "serve the model with another dtype or quantization"
    ways = [(f"{take}, because {requirements.needs.why} needs newer GPUs", max(by_model, least), REPLACES)]
    if by_model:
        ways = [(serve, by_image, ""), *ways, (f"{serve}, and {take}", least, REPLACES)]
    edits = [Edit(text, sum(has >= bound for has in known), after) for text, bound, after in ways]
    best = max(edits, key=lambda one: min(one.opens, requirements.instances))
    return best if best.opens else Edit(f"their GPUs are too old, even for {older}", 0)


def _image(machines: Collection[Offer], requirements: Requirements) -> Edit:
    older, least = older_images()
    fit = [offer for offer in machines if (offer.compute_cap or 0) >= max(requirements.needs.by_model, least)]
    known = sorted((offer.cuda_max_good for offer in fit if offer.cuda_max_good), reverse=True)
    if not known:
        return Edit(f"their GPUs are too old, even for {older}, or the market does not say what they are", 0)
    newest = known[: requirements.instances][-1]
    text = f"take {older}, and for CUDA {newest:g} at the most"
    return Edit(text, sum(cuda >= newest for cuda in known), REPLACES)


def _days(machines: Collection[Offer], requirements: Requirements) -> Edit:
    ends = sorted((offer.duration or 0.0 for offer in machines), reverse=True)
    last = ends[: requirements.instances][-1] * requirements.time_scale
    days = _rounded((last - WARNED_SECONDS) / DAY, 1, math.floor)
    if days <= 0:
        return Edit("set minDays to 0", len(ends), " An instance is replaced in the last day of its contract.")
    least = (days * DAY + WARNED_SECONDS) / requirements.time_scale
    return Edit(f"lower minDays to {days:g}", sum(end >= least for end in ends))


def _rounded(value: float, digits: int, way: Callable[[float], int]) -> float:
    """Round up or down, but never past the value itself because of float errors."""
    unit: int = 10**digits
    whole = way(value * unit)
    if way is math.ceil and whole / unit < value:
        whole += 1
    if way is math.floor and whole / unit > value:
        whole -= 1
    return whole / unit
