"""How far a claim is: which slots serve it, and how long the rest may take; pure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from controller.demand import Claim
from controller.slots import Slot, State


class Status(Enum):
    """Where a claim is in its life."""

    PROVISIONING = "provisioning"  # not all of its instances serve
    READY = "ready"
    ENDED = "ended"  # it was given back, or it expired


@dataclass(frozen=True)
class Serving:
    """One slot of a claim. `endpoint` is None until it serves; `seconds`: for so long it has been in its state."""

    slot: Slot
    endpoint: str | None
    seconds: float

    @property
    def serves(self) -> bool:
        """Whether the instance answers at its endpoint."""
        return self.slot.state is State.READY and self.endpoint is not None


def status(claim: Claim, ended_at: float | None, serving: Sequence[Serving], wall: float) -> Status:
    """Return the status of a claim at a moment (unix seconds)."""
    if ended_at is not None or claim.expires_at <= wall:
        return Status.ENDED
    ready = sum(one.serves for one in serving)
    return Status.READY if ready >= claim.count else Status.PROVISIONING


def usd_per_hour(serving: Iterable[Serving]) -> float | None:
    """Return what the instances of a claim cost together; None while one of them has no price."""
    prices = [one.slot.usd_per_hour for one in serving]
    known = [price for price in prices if price is not None]
    return sum(known) if known and len(known) == len(prices) else None


def seconds_to_expect(claim: Claim, serving: Sequence[Serving], boots: Sequence[float]) -> float | None:
    """Return how long the claim will take, by the boots before; 0 if it serves, None if it is unknown.

    For a slot that boots, only boots count that took longer than it has taken already. A slot that is still missing boots
    after the next decision.
    """
    waits: list[float] = []
    for one in serving:
        if one.serves:
            continue
        wait = _remaining(boots, one.seconds if one.slot.state is State.RENTING else 0.0)
        if wait is None:
            return None
        waits.append(wait)
    if len(serving) < claim.count:
        if not boots:
            return None
        waits.append(statistics.median(boots))
    return max(waits, default=0.0)


def _remaining(boots: Sequence[float], elapsed: float) -> float | None:
    longer = [took - elapsed for took in boots if took > elapsed]
    return statistics.median(longer) if longer else None


def of_claim(slots: Iterable[Slot], claim: str, times: Mapping[int, tuple[str | None, float]]) -> tuple[Serving, ...]:
    """Return the slots that serve a claim, by index. `times` has each slot's endpoint and seconds in its state."""
    return tuple(
        Serving(slot, *times.get(slot.index, (None, 0.0)))
        for slot in sorted(slots, key=lambda slot: slot.index)
        if slot.claim == claim
    )
