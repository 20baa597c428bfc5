"""Why no offer fits, pure: the nearest misses, and the one wish whose giving way would open most machines.

A number that is named opens what is counted beside it: bounds are rounded away from the offers, and each machine counts
once, as it can be rented once.
"""

import math
from collections.abc import Callable, Collection, Iterable

from bootstrap.gpu_names import is_known, near_names
from providers.vast.offers import Offer, Wishes, misses, usd_per_hour


def refusal(near: Iterable[Offer], wishes: Wishes, shown: int = 3) -> str:
    """Explain why nothing fits: the nearest misses, and the single wish whose giving way would open most offers."""
    near = [offer for offer in near if misses(offer, wishes)]
    wanted = f"{wishes.gpu_count} x {' or '.join(wishes.gpu_names)}"
    if not near:
        return (
            f"No offer matches: nobody on the market lists {wanted} right now.{_spelling(wishes)} "
            "Name another GPU beside it in gpu.name (a list is fine), or another gpu.count, which replaces what runs."
        )
    nearest = sorted(near, key=lambda offer: (len(misses(offer, wishes)), usd_per_hour(offer, wishes)))
    rows = [
        f"  offer {offer.id}: {', '.join(miss.text for miss in misses(offer, wishes))}" for offer in nearest[:shown]
    ]
    return "\n".join(
        [
            f"No offer for {wanted} fulfils every wish. Nearest misses of {len(near)}:",
            *rows,
            *_too_small(nearest, wishes),
            _what_would_give(nearest, wishes),
        ]
    )


def _too_small(near: Collection[Offer], wishes: Wishes) -> list[str]:
    small = [offer.gpu_ram for offer in near if any(miss.key == "vllmArguments" for miss in misses(offer, wishes))]
    return [wishes.fit.refused(max(small))] if wishes.fit and small else []


def _spelling(wishes: Wishes) -> str:
    strange = [name for name in wishes.gpu_names if not is_known(name)]
    near = {name: near_names(name) for name in strange}
    return "".join(
        f" {name} is no name that is known; near are {', '.join(names)}." for name, names in near.items() if names
    )


def _what_would_give(nearest: Collection[Offer], wishes: Wishes) -> str:
    alone: dict[str, dict[int, Offer]] = {}
    for offer in sorted(nearest, key=lambda offer: usd_per_hour(offer, wishes)):
        failed = misses(offer, wishes)
        if len(failed) == 1:
            alone.setdefault(failed[0].key, {}).setdefault(offer.machine_id, offer)
    if not alone:
        return "No single wish is in the way: relax the two or three that the nearest misses name."
    # No wish gives way to what vLLM was seen to be too large for: that is named last.
    key, machines = max(alone.items(), key=lambda item: (item[0] != "memory", min(len(item[1]), wishes.instances)))
    bound, opened = _bound(key, list(machines.values()), wishes)
    lacking = f", and {wishes.instances} instances are wanted" if opened < wishes.instances else ""
    number = "1 machine" if opened == 1 else f"{opened} machines"
    return f"What would have to give: {bound} ({number} would match{lacking}).{AFTERWARDS.get(key, '')}"


AFTERWARDS = {
    "maxUsdPerHour": " It replaces no instance that runs for less.",
    "regions": " Leave those in that stand there: an instance in a country that is not named any more is replaced.",
    "vllmArguments": " Other arguments take effect in place; a GPU name that is taken out replaces what runs on it.",
}


def _bound(key: str, machines: Collection[Offer], wishes: Wishes) -> tuple[str, int]:
    """Return the edit that opens as many machines as are wanted, the least change first, and how many it opens."""
    lowered: dict[str, tuple[Callable[[Offer], float], int]] = {
        "reliability": (lambda offer: offer.reliable, 3),
        "downloadMbps": (lambda offer: offer.inet_down, 0),
        "diskGb": (lambda offer: offer.disk_space, 0),
        "gpu.ramGb": (lambda offer: offer.gpu_ram / 1000, 1),
        "cpuCores": (lambda offer: offer.cpu_cores_effective or 0.0, 1),
        "memoryGb": (lambda offer: offer.memory_gb or 0.0, 1),
    }
    if key == "maxUsdPerHour":
        prices = sorted(usd_per_hour(offer, wishes) for offer in machines)
        bound = _rounded(prices[: wishes.instances][-1], 3, math.ceil)
        return f"raise maxUsdPerHour from {wishes.max_usd_per_hour:g} to {bound:.3f}", sum(p <= bound for p in prices)
    if key in lowered:
        has, digits = lowered[key]
        values = sorted(map(has, machines), reverse=True)
        bound = _rounded(values[: wishes.instances][-1], digits, math.floor)
        return f"lower {key} to {bound:.{digits}f}", sum(value >= bound for value in values)
    if key == "minCuda":
        known = sorted((offer.cuda_max_good or 0.0 for offer in machines), reverse=True)
        newest = known[: wishes.instances][-1]
        edit = f"take an image for CUDA {newest:g} or older" if newest else "look for an image for an older CUDA"
        return f"{edit}, or set minCuda where you know better", sum(cuda >= newest for cuda in known)
    named = {
        "regions": f"add {', '.join(sorted({offer.country for offer in machines}))} to regions",
        "verified": "set verified to false",
        "hosting": "set hosting to any",
        "compute capability": "serve the model with another dtype or quantization, or name a newer GPU beside",
        "vllmArguments": (less := "serve the model with less memory, or name a larger GPU beside"),
        "memory": less,
        "machine": "wait: the machines that fit have failed in this update",
    }
    return named.get(key, f"relax {key}"), len(machines)


def _rounded(value: float, digits: int, way: Callable[[float], int]) -> float:
    """Round up or down, never past the value itself, whatever floats make of it."""
    unit: int = 10**digits
    whole = way(value * unit)
    if way is math.ceil and whole / unit < value:
        whole += 1
    if way is math.floor and whole / unit > value:
        whole -= 1
    return whole / unit
