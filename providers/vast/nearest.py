"""Why no offer fits, pure: the nearest misses, and the one wish whose giving way would open most machines.

Each machine counts once, as it can be rented once.
"""

from collections.abc import Collection, Iterable

from bootstrap.gpu_names import is_known, near_names
from providers.vast.edits import edit, wish
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
        key = wish([miss.key for miss in misses(offer, wishes)], wishes)
        if key is not None:
            alone.setdefault(key, {}).setdefault(offer.machine_id, offer)
    if not alone:
        return "No single wish is in the way: relax the two or three that the nearest misses name."
    edits = {key: edit(key, list(machines.values()), wishes) for key, machines in alone.items()}
    # What no key opens is named last; before it, what vLLM was seen to be too large for.
    best = max(edits, key=lambda key: (edits[key].opens > 0, key != "memory", min(edits[key].opens, wishes.instances)))
    text, opened, after = edits[best]
    if not opened:
        return f"Nothing in the config opens what fails one wish only: {text}. Name another GPU beside it in gpu.name."
    lacking = f", and {wishes.instances} instances are wanted" if opened < wishes.instances else ""
    number = "1 machine" if opened == 1 else f"{opened} machines"
    return f"What would have to give: {text} ({number} would match{lacking}).{after}"
