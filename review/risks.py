"""Name the risks of an edit in sentences: downtime, changes that clients notice, and new permissions. Pure.

Only an edit is a risk, never what the base branch has already. A rule is one function and one row of RULES. Instances are
rented on demand, so that no landlord takes one back for a higher bid.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.requirements import disk_gb
from config.fleets import FleetConfig
from providers.vast.api.offer import Offer
from review.policy import Revision
from review.report import Action, InstanceReview

NEW = frozenset({Action.RENTED, Action.ANOTHER_MACHINE})
# The market's words for a machine that it has tested; one that it has not is, as its documentation says, typically new.
TESTED = frozenset({"verified", "deverified"})
NAMED = 5  # machines in one sentence


@dataclass(frozen=True)
class Edited:
    """An edit and its effects. `base` is None if the base branch has no such stack.

    `rents`: the offers that the edit would take, by fleet. `known`: the machines that the stack has rented before, None if
    unknown.
    """

    base: Revision | None
    head: Revision
    instances: Sequence[InstanceReview]
    rents: Mapping[str, Sequence[Offer]] = field(default_factory=dict)
    known: frozenset[int] | None = None

    def fleets(self) -> Iterator[tuple[str, FleetConfig, FleetConfig | None, list[InstanceReview]]]:
        """Yield name, section, earlier section and instances of each fleet of the head."""
        for name, fleet in self.head.config.fleets.items():
            before = self.base.config.fleets.get(name) if self.base else None
            yield name, fleet, before, [one for one in self.instances if one.fleet == name]


def risks(edited: Edited) -> tuple[str, ...]:
    """Return a sentence for each risk."""
    return tuple(sentence for rule in RULES for sentence in rule(edited))


def _closed(edited: Edited) -> Iterator[str]:
    """Yield which endpoints are down meanwhile: all of a fleet, or waves of it."""
    for name, fleet, _, instances in edited.fleets():
        closing = [one for one in instances if _closes(one)]
        there = [one for one in instances if one.action is not Action.RENTED]
        if not closing:
            continue
        at_once = min(len(closing), fleet.rollout.most_down(fleet.most))
        if len(closing) == len(there) == 1:
            yield f"{name} has one replica: its endpoint is down meanwhile."
        elif at_once >= len(there):
            yield f"{name}: all {len(there)} endpoints are down at once, because of rollout.maxUnavailable."
        if (waves := math.ceil(len(closing) / at_once)) > 1:
            longest = _longest(closing)
            whole = (
                "for a time that is not known" if longest is None else f"about {longest * waves / 60:.0f} min in all"
            )
            yield f"{name}: {len(closing)} of {len(there)} change in {waves} waves, {at_once} at a time, {whole}."


def _closes(one: InstanceReview) -> bool:
    return one.action is Action.ANOTHER_MACHINE or (one.action is Action.IN_PLACE and one.down_seconds != 0.0)


def _longest(closing: Sequence[InstanceReview]) -> float | None:
    known = [one.down_seconds for one in closing]
    return None if None in known else max(seconds or 0.0 for seconds in known)


def _gone(edited: Edited) -> Iterator[str]:
    """Yield fleets that nothing is left of."""
    by_fleet: dict[str, list[InstanceReview]] = {}
    for one in edited.instances:
        by_fleet.setdefault(one.fleet, []).append(one)
    for name, instances in by_fleet.items():
        if all(one.action is Action.GIVEN_BACK for one in instances):
            yield f"{name} is given back whole: no endpoint of it is left."


def _disks(edited: Edited) -> Iterator[str]:
    """Yield fleets whose larger model needs a larger disk, which an instance cannot get in place."""
    for name, fleet, before, instances in edited.fleets():
        if before is None or edited.base is None or not any(one.action is Action.ANOTHER_MACHINE for one in instances):
            continue
        old, new = edited.base.manifests.get(before.model), edited.head.manifests.get(fleet.model)
        if old is None or new is None or fleet.disk_gb is not None or before.disk_gb is not None:
            continue
        was, will = disk_gb(before, old), disk_gb(fleet, new)
        if will > was:
            yield (
                f"{name}: the larger model raises the disk from {was} to {will} GB, and a disk is fixed for life, so that "
                "another machine is rented."
            )


def _hosts(edited: Edited) -> Iterator[str]:
    """Yield what kinds of host a fleet takes from now on."""
    for name, fleet, before, instances in edited.fleets():
        wider = [
            ("unverified hosts", not fleet.verified and (before is None or before.verified)),
            (
                "hosts outside data centres",
                before is not None and (before.hosting, fleet.hosting) == ("datacenter", "any"),
            ),
            (
                f"hosts of reliability {fleet.reliability:g} and better",
                before is not None and fleet.reliability < before.reliability,
            ),
            (
                "hosts that may end within the day",
                fleet.min_days == 0 and (before is None or before.min_days > 0),
            ),
        ]
        now = "for this edit, too" if any(one.action in NEW for one in instances) else "at its next rent"
        yield from (f"{name} takes {hosts} from now on, {now}." for hosts, is_wider in wider if is_wider)


def _new_hosts(edited: Edited) -> Iterator[str]:
    """Yield fleets that would rent machines with which neither the market nor we have any experience."""
    for name, fleet, before, instances in edited.fleets():
        if fleet == before and not any(one.action in NEW for one in instances):
            continue  # the controller fills it whatever the edit is
        new = [
            offer.machine_id
            for offer in edited.rents.get(name, ())
            if offer.verification not in TESTED and offer.machine_id not in (edited.known or ())
        ]
        if not new:
            continue
        names = f"{', '.join(map(str, new[:NAMED]))}{f' and {len(new) - NAMED} more' if len(new) > NAMED else ''}"
        one = len(new) == 1
        hosts, machines = ("a new host", "machine") if one else (f"{len(new)} new hosts", "machines")
        ours = f"the ledger does not know {'it' if one else 'them'} either"
        if edited.known is None:
            ours = "what was rented before is not known"
        yield f"{name} would rent {hosts}: the market has not verified {machines} {names}, and {ours}."


def _clients(edited: Edited) -> Iterator[str]:
    """Yield what clients must be told."""
    if edited.base is None:
        return
    before, after = edited.base.config.rotation, edited.head.config.rotation
    if after.tokens != before.tokens:
        yield f"rotation.tokens {before.tokens} → {after.tokens}: every client needs a new token."


def _budgets(edited: Edited) -> Iterator[str]:
    """Yield edits of the budget itself."""
    if edited.base is None:
        return
    before, after = edited.base.config.budget, edited.head.config.budget
    pairs = {
        "usdPerDay": (before.usd_per_day, after.usd_per_day),
        "usdPerMonth": (before.usd_per_month, after.usd_per_month),
    }
    for key, (old, new) in pairs.items():
        if old != new:
            yield f"budget.{key} {f'${old:,.2f}' if old else 'none'} → {f'${new:,.2f}' if new else 'none'}."


RULES: tuple[Callable[[Edited], Iterator[str]], ...] = (
    _closed,
    _gone,
    _disks,
    _hosts,
    _new_hosts,
    _clients,
    _budgets,
)
