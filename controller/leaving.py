"""How a slot leaves without cutting a request; pure, over looks at its host.

    close the gate -> see it closed -> half a second -> nothing in flight, and the log of admitted requests unchanged -> end

A request that passed the gate just before it closed shows up in flight within the half second. If the slot was chosen because
it was idle, a request that got in brings it back. Otherwise the slot waits for its requests, at most for the longest
duration of one. Every moment is of the deciding process's own monotonic clock: a wall clock that jumps ends no wait.
"""

from dataclasses import dataclass, replace
from enum import Enum

from controller.reasons import Reason, Rule

SETTLE_SECONDS = 0.5  # a request that passed the open gate reached vLLM after 4 ms at most (measured); this is far more


class Gate(Enum):
    """How the host's gate was seen."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"  # the host did not answer


@dataclass(frozen=True)
class GateLook:
    """One look at a host: its gate, requests in flight, and a mark that changes with each line of the log of admitted
    requests.
    """

    at: float
    gate: Gate
    in_flight: int | None = None
    admitted: str | None = None


@dataclass(frozen=True)
class Leaving:
    """The known facts of a slot that leaves.

    `longest_seconds`: the longest duration of one request. `strict`: it was idle when it was chosen; `admitted` is the log's
    mark at that moment. `locked`: the slot is `ending`, and this process holds its lock, so no other process opens the gate.
    `dead`: the slot's own refresh said that the instance serves no more. A host that fell silent before its gate was seen
    closed stays until it answers or is dead: clients may still reach it.
    """

    longest_seconds: float
    strict: bool = False
    admitted: str | None = None
    locked: bool = False
    dead: bool = False
    closed_at: float | None = None  # since when the gate was seen closed at every look
    quiet_at: float | None = None  # since when nothing was in flight and the log stood still


class Next(Enum):
    """What to do now."""

    CLOSE = "close"  # close the gate, and look again
    WAIT = "wait"
    REOPEN = "reopen"
    END = "end"


@dataclass(frozen=True)
class Answer:
    """The next act, its reason, and the slot's facts from now on."""

    next: Next
    reason: Reason
    leaving: Leaving


def step(leaving: Leaving, look: GateLook, settle: float = SETTLE_SECONDS) -> Answer:
    """Judge one look. The caller looks again after `settle` seconds or more, until the answer is END or REOPEN."""
    if look.gate is Gate.UNKNOWN:
        return _silent(leaving, look)
    if look.gate is Gate.OPEN:
        opened = replace(leaving, closed_at=None, quiet_at=None)
        return Answer(Next.CLOSE, Reason(Rule.GATE_OPEN, "the gate is open"), opened)
    if leaving.closed_at is None:
        leaving = replace(leaving, closed_at=look.at)
    if look.in_flight is None or look.admitted is None:
        return _silent(leaving, look)
    return _closed(leaving, look, settle)


def _closed(leaving: Leaving, look: GateLook, settle: float) -> Answer:
    """Judge a look at a host that tells everything, behind a closed gate."""
    moved = leaving.admitted is not None and look.admitted != leaving.admitted
    if leaving.strict and (moved or look.in_flight):
        says = "somebody got in before the gate closed"
        facts = {"requests": look.in_flight}
        return Answer(Next.REOPEN, Reason(Rule.SOMEBODY_GOT_IN, says, facts), leaving)
    if look.in_flight or moved:
        busy = replace(leaving, admitted=look.admitted, quiet_at=None if look.in_flight else look.at)
        return _bounded(busy, look, Reason(Rule.BUSY, f"{look.in_flight} requests are under way"))
    quiet_at = look.at if leaving.quiet_at is None else leaving.quiet_at
    leaving = replace(leaving, admitted=look.admitted, quiet_at=quiet_at)
    if look.at - quiet_at < settle:
        return _bounded(leaving, look, Reason(Rule.SETTLING, "a request may be on its way from the gate"))
    says = f"nothing in flight and nothing admitted for {look.at - quiet_at:.1f} s behind a closed gate"
    return Answer(Next.END, Reason(Rule.QUIET, says), leaving)


def _silent(leaving: Leaving, look: GateLook) -> Answer:
    """Judge a look that lacks facts: the host counts as busy, unless another source says that the instance is dead."""
    silent = replace(leaving, quiet_at=None)
    if leaving.dead and look.gate is Gate.UNKNOWN:
        return Answer(Next.END, Reason(Rule.SILENT, "the instance is dead, and its host does not answer"), silent)
    reason = Reason(Rule.SILENT, "the host does not tell whether it serves")
    if look.gate is Gate.UNKNOWN and not leaving.locked:
        return Answer(Next.WAIT, reason, silent)  # a person may have opened the gate meanwhile
    return _bounded(silent, look, reason)


def _bounded(leaving: Leaving, look: GateLook, otherwise: Reason) -> Answer:
    """Wait, unless every admitted request has passed the longest duration of one."""
    since = leaving.closed_at
    if since is not None and look.at - since >= leaving.longest_seconds:
        says = (
            f"no request may take longer than {leaving.longest_seconds:.0f} s, and the gate has been closed for longer"
        )
        return Answer(Next.END, Reason(Rule.LONGEST_REQUEST, says), leaving)
    return Answer(Next.WAIT, otherwise, leaving)
