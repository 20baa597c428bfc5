"""How many instances a fleet should have now, and why; pure.

    desired = clamp(max(claims, ceil(load / requestsPerInstance)), min, max), then cut by money

Each rule is a function of `STEPS`, in their order. A rule takes the situation and a draft, and returns the draft with its
count changed and its reason added. The count rises at once. It falls only to the largest count wanted within the window,
and never while load is unknown.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from config.elastic import Elastic
from controller.demand import Claim, Load
from controller.memory import Memory
from controller.money import Money, affordable
from controller.reasons import Reason, Rule
from controller.slots import CAPACITY, Slot, State

TOLERANCE = 0.1  # share of the count by which the load may differ without a change


@dataclass(frozen=True)
class Situation:
    """Everything that a decision looks at. `claims` are the live ones; `now` is seconds of a monotonic clock."""

    fleet: str
    elastic: Elastic
    slots: tuple[Slot, ...]
    load: Load
    claims: tuple[Claim, ...]
    money: Money
    memory: Memory
    now: float

    @property
    def capacity(self) -> int:
        """The number of slots that serve or will serve."""
        return sum(slot.state in CAPACITY for slot in self.slots)


@dataclass(frozen=True)
class Draft:
    """A count on its way through the rules."""

    count: int
    memory: Memory
    reasons: tuple[Reason, ...] = ()

    def because(self, target: int, rule: Rule, says: str, **facts: str | float | tuple[str, ...] | None) -> "Draft":
        """Return the draft with another count, or the same, and a reason."""
        return replace(self, count=target, reasons=(*self.reasons, Reason(rule, says, facts)))


@dataclass(frozen=True)
class Decision:
    """The count that a fleet should have, its capacity, the reasons, and the memory for the next decision."""

    fleet: str
    desired: int
    capacity: int
    reasons: tuple[Reason, ...]
    memory: Memory

    def record(self) -> dict[str, object]:
        """Return the decision as the ledger keeps it."""
        return {
            "fleet": self.fleet,
            "desired": self.desired,
            "capacity": self.capacity,
            "reasons": [reason.record() for reason in self.reasons],
        }


Step = Callable[[Situation, Draft], Draft]


def claimed(situation: Situation, draft: Draft) -> Draft:
    """Want as many instances as the live claims ask for together."""
    count = sum(claim.count for claim in situation.claims)
    if not count:
        return draft
    who = tuple(f"{claim.owner}: {claim.count} until {claim.expires_at:.0f} ({claim.id})" for claim in situation.claims)
    return draft.because(max(draft.count, count), Rule.CLAIMS, f"claims ask for {count}", count=count, who=who)


def loaded(situation: Situation, draft: Draft, tolerance: float = TOLERANCE) -> Draft:
    """Want as many instances as the load needs. A need near the present capacity changes nothing."""
    load, each, there = situation.load, situation.elastic.requests_per_instance, situation.capacity
    need = load.requests / each
    count = math.ceil(need)
    near = count != there > 0 and abs(need - there) <= tolerance * there
    if load.requests:
        says = f"{load.requests} requests at {each} an instance need {need:.2f}"
        draft = draft.because(draft.count, Rule.LOAD, says, requests=load.requests, requestsPerInstance=each)
    if near:
        says = f"{need:.2f} is within {tolerance:.0%} of the {there} that there are"
        draft = draft.because(draft.count, Rule.TOLERANCE, says, need=round(need, 3), capacity=there)
    return replace(draft, count=max(draft.count, there if near else count))


def held_by_doubt(situation: Situation, draft: Draft) -> Draft:
    """While part of the load is unknown, want at least the present capacity."""
    if not situation.load.unknown or draft.count >= situation.capacity:
        return draft
    what = situation.load.unknown
    says = f"the load of {', '.join(what)} is unknown, so nothing leaves"
    return draft.because(situation.capacity, Rule.UNKNOWN, says, unknown=what)


def held_by_the_window(situation: Situation, draft: Draft) -> Draft:
    """Record the count, and hold its fall at the window's largest count.

    Until the controller has watched for a whole window, the count does not fall below the present capacity.
    """
    seconds, now, there = situation.elastic.down_seconds, situation.now, situation.capacity
    memory = situation.memory.add(now, draft.count, seconds, situation.load.idle_seconds)
    draft = replace(draft, memory=memory)
    if draft.count >= there:
        return draft
    watched = memory.watched(now)
    if watched < seconds:
        says = f"the controller has watched for {watched:.0f} of {seconds:.0f} s"
        return draft.because(there, Rule.DOWN_WINDOW, says, watchedSeconds=round(watched), windowSeconds=seconds)
    most = memory.most(now, seconds)
    if most <= draft.count:
        return draft
    says = f"{most} were wanted within the last {seconds:.0f} s"
    return draft.because(min(there, most), Rule.DOWN_WINDOW, says, most=most, windowSeconds=seconds)


def held_while_in_use(situation: Situation, draft: Draft) -> Draft:
    """Keep one instance until the fleet has needed none, and no host has served a request, for the idle window."""
    if draft.count > 0 or situation.elastic.min > 0 or not situation.capacity:
        return draft
    seconds, unwanted = situation.elastic.idle_seconds, draft.memory.unwanted(situation.now)
    if unwanted >= seconds and not situation.load.untold:
        return draft
    says = f"the last request came {unwanted:.0f} s ago; the last instance leaves after {seconds:.0f} s"
    if situation.load.untold:
        says = "a host does not tell when it served last"
    return draft.because(1, Rule.IDLE_WINDOW, says, unwantedSeconds=round(unwanted), idleSeconds=seconds)


def clamped(situation: Situation, draft: Draft) -> Draft:
    """Keep the count within the reviewed bounds."""
    least, most = situation.elastic.min, situation.elastic.max
    if draft.count > most:
        return draft.because(most, Rule.MAX, f"{draft.count} are wanted, and {most} are the most", max=most)
    if draft.count < least:
        return draft.because(least, Rule.MIN, f"{least} are the least", min=least)
    return draft


def cut_by_money(situation: Situation, draft: Draft) -> Draft:
    """Cut the count to what the budget allows. Instances that are already rented stay."""
    paid = sum(slot.paid for slot in situation.slots)
    leaving = sum(slot.state is State.LEAVING for slot in situation.slots)
    back = leaving - situation.load.barred  # reopening rents nothing
    here = situation.capacity + back
    if draft.count <= here:
        return draft
    more, why = affordable(situation.money, paid, situation.elastic.max)
    if why is None or draft.count <= here + more:
        return draft
    return replace(draft, count=here + more, reasons=(*draft.reasons, why))


STEPS: tuple[Step, ...] = (
    claimed,
    loaded,
    held_by_doubt,
    held_by_the_window,
    held_while_in_use,
    clamped,
    cut_by_money,
)


def decide(situation: Situation, steps: Sequence[Step] = STEPS) -> Decision:
    """Return how many instances the fleet should have."""
    draft = Draft(0, situation.memory)
    for step in steps:
        draft = step(situation, draft)
    return Decision(situation.fleet, draft.count, situation.capacity, draft.reasons, draft.memory)
