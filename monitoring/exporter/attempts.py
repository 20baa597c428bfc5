"""Groups the ledger's events by attempt: how long each phase took, what failed and why.

Pure functions. The order of the events does not matter.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitoring.exporter.sources import PHASES
from providers.ledger.event import Event, Outcome, Reason
from providers.vast.api.instance import Instance

RETRY_SECONDS = 120.0  # an attempt that begins sooner after a failed one belongs to the same wait of the operator


@dataclass
class Attempt:
    """One attempt, as far as the ledger knows it. Moments are unix seconds.

    `passed` maps a phase to the seconds, since the attempt began, at which it was through. `measured` maps a phase to the
    seconds that it took; the create writes them into its last event, and older versions wrote none.
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
    ended_at: float | None = None  # from when on the ledger says that its instance is not rented any more
    instance_id: int | None = None
    machine_id: int | None = None
    rented_at: float | None = None
    usd_per_hour: float | None = None
    charged_usd_per_hour: float | None = None  # as the market charges it; older versions did not write it
    usd: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether the ledger says that its instance is not rented any more."""
        return self.ended_at is not None

    def phase_seconds(self) -> dict[str, float]:
        """Return the seconds of each finished phase. An adopted instance has none: the ledger does not know its beginning."""
        if self.adopted:
            return {}
        if self.measured:
            return {phase: self.measured[phase] for phase in PHASES if phase in self.measured}
        known = [(phase, self.passed[phase]) for phase in PHASES if phase in self.passed]
        befores = [0.0, *(seconds for _, seconds in known)]
        return {phase: max(0.0, end - before) for (phase, end), before in zip(known, befores, strict=False)}

    def boots(self) -> bool:
        """Say whether rent or adoption is the last known event, so that no event shows the instance running."""
        return self.served is None and self.failed is None and not self.passed.keys() - {"rent"}

    def failing_phase(self) -> str:
        """Return the phase in which the attempt failed: the one after the last finished phase."""
        through = [PHASES.index(phase) for phase in self.passed if phase in PHASES]
        return PHASES[min(max(through, default=-1) + 1, len(PHASES) - 1)]


@dataclass(frozen=True)
class Wait:
    """How long an operator waited for an instance, with the failed attempts right before. `served` is in unix seconds."""

    name: str
    seconds: float
    served: float
    phases: Mapping[str, float]


class Attempts:
    """All attempts of a ledger, by stack id and attempt id."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Attempt] = {}
        self._ended: dict[int, float] = {}  # instance -> the first word of its end

    def add(self, events: Iterable[Event]) -> None:
        """Add events. Add each event once."""
        for one in events:
            if one.outcome is Outcome.ENDED and one.instance_id is not None:
                self._ended[one.instance_id] = min(one.at, self._ended.get(one.instance_id, one.at))
                continue
            if one.outcome is Outcome.DECIDED:
                continue
            began = one.at - one.seconds
            attempt = self._known.setdefault((one.stack_id, one.attempt), Attempt(one.name, began, one.at))
            _note(attempt, one)

    def stack_ids(self) -> frozenset[str]:
        """Return the ids of the stacks that have written into the ledger."""
        return frozenset(stack_id for stack_id, _ in self._known)

    def all(self) -> list[Attempt]:
        """Return the attempts, sorted by their beginning."""
        known = sorted(self._known.values(), key=lambda attempt: attempt.began)
        for attempt in known:
            attempt.ended_at = None if attempt.instance_id is None else self._ended.get(attempt.instance_id)
        return known


def provisioning(attempts: Iterable[Attempt]) -> list[Wait]:
    """Return the wait for each instance that serves, sorted by beginning. Adopted instances have none."""
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
    inventory: Iterable[Instance],
    attempts: Iterable[Attempt],
    now: float = 0.0,
    abandoned_seconds: float = float("inf"),
) -> list[Instance]:
    """Return rented instances for which the ledger does not account.

    No event names such an instance, or an event says that it was given back or ended. Or it has been booting, by the
    ledger, for more than `abandoned_seconds` before `now` (unix seconds).
    """
    since = now - abandoned_seconds
    over = {one.instance_id for one in attempts if one.ended}
    wanted = {
        one.instance_id for one in attempts if not one.given_back and not (one.boots() and one.last < since)
    } - over
    return [instance for instance in inventory if instance.id not in wanted]


def failures(attempts: Iterable[Attempt]) -> Counter[tuple[str, str]]:
    """Count failed attempts by (phase in which they failed, reason)."""
    return Counter((attempt.failing_phase(), attempt.failed) for attempt in attempts if attempt.failed)


def last_failures(attempts: Iterable[Attempt]) -> dict[str, str]:
    """Return the reason by instance name, for instances whose latest attempt failed."""
    latest = {attempt.name: attempt for attempt in attempts if attempt.served is not None or attempt.failed}
    return {name: attempt.failed for name, attempt in latest.items() if attempt.failed}


def _note(attempt: Attempt, one: Event) -> None:
    attempt.last = max(attempt.last, one.at)
    attempt.adopted |= one.outcome is Outcome.ADOPTED
    attempt.instance_id = one.instance_id if one.instance_id is not None else attempt.instance_id
    attempt.machine_id = one.machine_id if one.machine_id is not None else attempt.machine_id
    attempt.usd_per_hour = one.usd_per_hour if one.usd_per_hour is not None else attempt.usd_per_hour
    charged = one.charged_usd_per_hour
    attempt.charged_usd_per_hour = charged if charged is not None else attempt.charged_usd_per_hour
    attempt.usd = max(attempt.usd, one.usd - one.image_usd)  # the market bills the image as traffic
    if one.outcome is Outcome.RENTED:
        attempt.passed["rent"] = one.seconds
        attempt.rented_at = one.at
    elif one.outcome is Outcome.PASSED and one.phase:
        attempt.passed[one.phase] = one.seconds
    elif one.outcome is Outcome.SERVED:
        attempt.served = one.at
        attempt.measured = one.phases
    elif one.outcome is Outcome.FAILED:
        attempt.failed = (one.reason or Reason.UNFORESEEN).value
    elif one.outcome is Outcome.GIVEN_BACK:
        attempt.given_back = True
