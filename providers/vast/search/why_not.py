"""Explain why no offer fits; pure: the key whose change opens most machines, and the nearest offers.

Each machine counts once, because a fleet can rent it once.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bootstrap.gpu_names import is_known, near_names
from config.base import path_of
from providers.vast.api.errors import VastError
from providers.vast.api.offer import Offer
from providers.vast.search.config_edits import CAPABILITY, edit, failed_requirement
from providers.vast.search.mismatches import mismatches
from providers.vast.search.prices import usd_per_hour
from providers.vast.search.requirements import Requirements

NOT_KEYS = {CAPABILITY: "image", "memory": "gpu.name", "machine": ""}  # by mismatch: the config key that changes it


@dataclass
class NoMatchingOffer(VastError):
    """No offer fulfils every requirement. `message` names the change to make and lists the nearest offers.

    `key`: the deciding key in the fleet's section, such as `gpu.name`; empty if no single key decides.
    """

    message: str
    key: str = ""

    def __str__(self) -> str:
        """Sentence for the operator, without the key."""
        return self.message

    def of_fleet(self, fleet: str) -> str:
        """Return the message, prefixed with the whole key in stack config."""
        return f"{path_of('fleets', fleet, *filter(None, self.key.split('.')))}: {self.message}"


def refusal(near: Iterable[Offer], requirements: Requirements, shown: int = 3) -> NoMatchingOffer:
    """Explain why no offer fits: the one key whose change opens most machines, then the nearest offers."""
    near = [offer for offer in near if mismatches(offer, requirements)]
    wanted = f"{requirements.gpu_count} x {' or '.join(requirements.gpu_names)}"
    if not near:
        return _not_listed(wanted, requirements)
    nearest = sorted(near, key=lambda offer: (len(mismatches(offer, requirements)), usd_per_hour(offer, requirements)))
    rows = [
        f"  offer {offer.id}: {', '.join(miss.text for miss in mismatches(offer, requirements))}"
        for offer in nearest[:shown]
    ]
    key, what = _what_would_give(nearest, requirements)
    first = f"no offer for {wanted} fulfils every requirement; {what}"
    return NoMatchingOffer(
        "\n".join([first, f"Nearest of {len(near)}:", *rows, *_too_small(nearest, requirements)]), key
    )


def _not_listed(wanted: str, requirements: Requirements) -> NoMatchingOffer:
    strange = {name: near_names(name) for name in requirements.gpu_names if not is_known(name)}
    meant = [name for near in strange.values() for name in near]
    if len(strange) == len(requirements.gpu_names):
        names, near = (" or ".join(f"'{name}'" for name in each) for each in (strange, dict.fromkeys(meant)))
        hint = f"did you mean {near}?" if near else "no known GPU has such a name."
        return NoMatchingOffer(f"nobody lists {names}; {hint}", "gpu.name")
    hints = [
        f" {name} is not a known name; did you mean {' or '.join(near)}?" for name, near in strange.items() if near
    ]
    return NoMatchingOffer(
        f"nobody lists {wanted} right now; name another GPU beside it in name (a list is fine), or another "
        f"count, which replaces what runs.{''.join(hints)}",
        "gpu",
    )


def _too_small(near: Collection[Offer], requirements: Requirements) -> list[str]:
    small = [
        offer.gpu_ram for offer in near if any(miss.key == "vllmArguments" for miss in mismatches(offer, requirements))
    ]
    return [requirements.fit.refused(max(small))] if requirements.fit and small else []


def _what_would_give(nearest: Collection[Offer], requirements: Requirements) -> tuple[str, str]:
    """Return the key whose change opens most machines, and the change in words."""
    alone: dict[str, dict[int, Offer]] = {}
    for offer in sorted(nearest, key=lambda offer: usd_per_hour(offer, requirements)):
        key = failed_requirement([miss.key for miss in mismatches(offer, requirements)], requirements)
        if key is not None:
            alone.setdefault(key, {}).setdefault(offer.machine_id, offer)
    if not alone:
        return "", "no single one is in the way: relax the two or three that the nearest offers name."
    edits = {key: edit(key, list(machines.values()), requirements) for key, machines in alone.items()}
    # Changes that open no machine come last. Just before them comes `memory`: GPUs that proved too small for vLLM.
    best = max(
        edits, key=lambda key: (edits[key].opens > 0, key != "memory", min(edits[key].opens, requirements.instances))
    )
    text, opened, after = edits[best]
    if not opened:
        closed = "nothing in the config opens those that fail one requirement only"
        return "gpu.name", f"{closed}: {text}. Name another GPU beside it in gpu.name."
    lacking = f", and {requirements.instances} instances are wanted" if opened < requirements.instances else ""
    number = "1 machine" if opened == 1 else f"{opened} machines"
    return NOT_KEYS.get(best, best), f"{text} ({number} would match{lacking}).{after}"
