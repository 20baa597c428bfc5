"""The ledger's events by attempt, pure: how long each phase took, what failed and why. Their order does not matter."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitoring.exporter.sources import PHASES, Happening, Rented

RETRY_SECONDS = 120.0  # an attempt that begins so soon after a failed one belongs to the same wait of the operator


@dataclass
class Attempt:
    """What is known of one attempt. Moments in unix seconds; `passed` maps a phase to the seconds at which it first spoke.

    `measured` is how long each phase took, where whoever worked on it wrote that down at the end.
    """

    name: str
    began: float
    last: float
    adopted: bool = False
    passed: dict[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    served: float | None = None
    failed: str | None = None
    given_back: bool = False
    ended: bool = False  # its instance is not rented any more, as whoever looked last says
    instance_id: int | None = None
    machine_id: int | None = None
    rented_at: float | None = None
    usd_per_hour: float | None = None
    usd: float = 0.0

    def phase_seconds(self) -> dict[str, float]:
        """Return how long each phase took that is through; one whose beginning nobody wrote down is left out."""
        if self.adopted:
            return {}
        if self.measured:
            return {phase: self.measured[phase] for phase in PHASES if phase in self.measured}
        known = [(phase, self.passed[phase]) for phase in PHASES if phase in self.passed]
        befores = [0.0, *(seconds for _, seconds in known)]
        return {phase: max(0.0, end - before) for (phase, end), before in zip(known, befores, strict=False)}

    def boots(self) -> bool:
        """Say whether the last that is known of it is its rent or its adoption: nobody saw it run."""
        return self.served is None and self.failed is None and not self.passed.keys() - {"rent"}

    def failing_phase(self) -> str:
        """Return the phase in which it ended: the one after the last that is through."""
        through = [PHASES.index(phase) for phase in self.passed if phase in PHASES]
        return PHASES[min(max(through, default=-1) + 1, len(PHASES) - 1)]


@dataclass(frozen=True)
class Wait:
    """How long an operator waited for an instance, failed attempts right before it included. `served` in unix seconds."""

    name: str
    seconds: float
    served: float
    phases: Mapping[str, float]


class Attempts:
    """All attempts of a ledger, by stack id and attempt."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Attempt] = {}
        self._ended: set[int] = set()  # instances

    def add(self, happenings: Iterable[Happening]) -> None:
        """Take events in; each of them once."""
        for one in happenings:
            if one.outcome == "ended" and one.instance_id is not None:
                self._ended.add(one.instance_id)
                continue
            began = one.at - one.seconds
            attempt = self._known.setdefault((one.stack_id, one.attempt), Attempt(one.name, began, one.at))
            _note(attempt, one)

    def stack_ids(self) -> frozenset[str]:
        """Return the stacks that have written into the ledger."""
        return frozenset(stack_id for stack_id, _ in self._known)

    def all(self) -> list[Attempt]:
        """Return the attempts in the order in which they began."""
        known = sorted(self._known.values(), key=lambda attempt: attempt.began)
        for attempt in known:
            attempt.ended = attempt.instance_id in self._ended
        return known


def provisioning(attempts: Iterable[Attempt]) -> list[Wait]:
    """Return what it took each instance to serve, in the order in which they began; adopted ones are left out."""
    waits: list[Wait] = []
    begins: dict[str, tuple[float, float]] = {}  # name -> when the wait began, and when its last attempt ended
    for attempt in attempts:
        since, until = begins.pop(attempt.name, (attempt.began, attempt.began))
        if attempt.began - until > RETRY_SECONDS:
            since = attempt.began
        if attempt.served is None:
            begins[attempt.name] = (since, attempt.last)
        elif not attempt.adopted:
            waits.append(Wait(attempt.name, attempt.served - since, attempt.served, attempt.phase_seconds()))
    return waits


def orphaned(
    inventory: Iterable[Rented],
    attempts: Iterable[Attempt],
    now: float = 0.0,
    abandoned_seconds: float = float("inf"),
) -> list[Rented]:
    """Return what is rented though no event of the ledger names it, or one says that it was given back or ended, or none says
    anything but that it boots, since so many seconds before `now` (unix seconds).
    """
    since = now - abandoned_seconds
    over = {one.instance_id for one in attempts if one.ended}
    wanted = {
        one.instance_id for one in attempts if not one.given_back and not (one.boots() and one.last < since)
    } - over
    return [rented for rented in inventory if rented.instance_id not in wanted]


def failures(attempts: Iterable[Attempt]) -> Counter[tuple[str, str]]:
    """Count failed attempts by the phase in which they ended and the reason."""
    return Counter((attempt.failing_phase(), attempt.failed) for attempt in attempts if attempt.failed)


def last_failures(attempts: Iterable[Attempt]) -> dict[str, str]:
    """Return the reason of each instance's latest attempt, where that failed."""
    latest = {attempt.name: attempt for attempt in attempts if attempt.served is not None or attempt.failed}
    return {name: attempt.failed for name, attempt in latest.items() if attempt.failed}


def _note(attempt: Attempt, one: Happening) -> None:
    attempt.last = max(attempt.last, one.at)
    attempt.adopted |= one.outcome == "adopted"
    attempt.instance_id = one.instance_id if one.instance_id is not None else attempt.instance_id
    attempt.machine_id = one.machine_id if one.machine_id is not None else attempt.machine_id
    attempt.usd_per_hour = one.usd_per_hour if one.usd_per_hour is not None else attempt.usd_per_hour
    attempt.usd = max(attempt.usd, one.usd)
    if one.outcome == "rented":
        attempt.passed["rent"] = one.seconds
        attempt.rented_at = one.at
    elif one.outcome == "passed" and one.phase:
        attempt.passed[one.phase] = one.seconds
    elif one.outcome == "served":
        attempt.served = one.at
        attempt.measured = one.phases
    elif one.outcome == "failed":
        attempt.failed = one.reason or "unforeseen"
    elif one.outcome == "given-back":
        attempt.given_back = True
