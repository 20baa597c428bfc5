"""The claims on a fleet and its measured load; pure.

Load that could not be measured is unknown, which is not 0. It never makes a fleet smaller.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.slots import Slot, State

FRESH_SECONDS = 60.0  # an older observation says nothing of now


@dataclass(frozen=True)
class Claim:
    """A request for `count` instances until a moment (unix seconds). `owner` is the name of the client's key."""

    id: str
    fleet: str
    count: int
    expires_at: float
    owner: str


@dataclass(frozen=True)
class HostLoad:
    """The report of one instance's gate: requests in flight, and seconds since the last one by the host's own clock.

    `admitted` is a mark that changes with each line of the log of admitted requests. `closed_seconds`: how long the
    controller has seen the gate closed. `opens`: whether a controller may open it, or it is open; None if unknown.
    """

    in_flight: int | None
    idle_seconds: float | None = None
    age_seconds: float = 0.0  # since the host reported it
    admitted: str | None = None
    closed_seconds: float = 0.0
    opens: bool | None = None

    @property
    def known(self) -> bool:
        """Whether the count of requests holds for now."""
        return self.in_flight is not None and self.in_flight >= 0 and 0 <= self.age_seconds <= FRESH_SECONDS


@dataclass(frozen=True)
class Queue:
    """Held requests and jobs in front of the instances. None: unknown."""

    held: int | None = 0
    jobs: int | None = 0


@dataclass(frozen=True)
class Load:
    """A lower bound of the fleet's requests, the parts that are unknown, and the shortest idle time that a host reported.

    `barred`: the number of leaving slots whose gates no controller may open.
    """

    requests: int
    unknown: tuple[str, ...] = ()
    idle_seconds: float = math.inf
    untold: bool = False  # whether a serving host reports no idle time
    barred: int = 0


SILENT = HostLoad(None)
SERVING = frozenset({State.READY, State.LEAVING})


def live(claims: Iterable[Claim], fleet: str, wall: float) -> tuple[Claim, ...]:
    """Return the claims on a fleet that have not expired, oldest expiry first."""
    found = [claim for claim in claims if claim.fleet == fleet and claim.expires_at > wall and claim.count > 0]
    return tuple(sorted(found, key=lambda claim: (claim.expires_at, claim.id)))


def measure(slots: Iterable[Slot], seen: Mapping[int, HostLoad], queue: Queue) -> Load:
    """Add up the load of a fleet: requests in flight at every instance that reports them, held requests, and jobs.

    An instance that serves or leaves and reports nothing is unknown. One that boots may already have requests.
    """
    requests, unknown, idle, untold, barred = 0, [], math.inf, False, 0
    for slot in slots:
        look = seen.get(slot.index, SILENT)
        if look.known:
            requests += look.in_flight or 0
        if slot.state not in SERVING:
            continue
        barred += slot.state is State.LEAVING and look.opens is False
        if not look.known:
            unknown.append(f"slot {slot.index}")
        if look.known and look.idle_seconds is not None:
            idle = min(idle, max(0.0, look.idle_seconds))
        else:
            untold = True
    for name, waiting in (("held", queue.held), ("jobs", queue.jobs)):
        if waiting is None:
            unknown.append(name)
        else:
            requests += waiting
    return Load(requests, tuple(unknown), idle, untold, barred)
