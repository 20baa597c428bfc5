"""Decide when this host ends itself, pure: looks at the host in, one action out. self_destruct.py acts on the host.

    watching   the gate may be open. A limit is reached: close the gate
    closed     after SETTLE_SECONDS: something moved, open the gate again; nothing moved, end
    ending     the gate stays closed, and the market is asked until this host is gone

Only time between two looks that both saw an idle host counts as idle. An unknown look adds nothing. A request, work on
the GPU or a host that does not serve sets it to zero. All times are seconds of this host's own monotonic clock.
Standard library only; Python 3.10 or later.
"""

from dataclasses import dataclass, replace
from enum import Enum

SETTLE_SECONDS = 0.5  # a request that passed the gate as it closed shows within 4 ms
DRAIN_SECONDS = 30.0  # for requests under way when the lifetime is over
LONGEST_LOOK_SECONDS = 60.0  # what happened in a longer time between two looks is unknown
HOLD_SECONDS = 120.0  # an operator at work on the host gives a sign of attention every 60 s
QUIET_SECONDS = 60.0  # a lapsed lease ends a host that was idle for so long
LOOK_SECONDS, SHORTEST_LOOK_SECONDS, LOOKS = 10.0, 0.5, 20
AGAIN_SECONDS = (10.0, 60.0)  # after the first request to the market, after each later one

IDLE, LEASE, LIFETIME = "idle", "lease", "lifetime"
WATCHING, CLOSED, ENDING = "watching", "closed", "ending"


class Action(Enum):
    """What to do on the host after a look."""

    NOTHING = "nothing"
    CLOSE = "close"
    REOPEN = "reopen"
    END = "end"


@dataclass(frozen=True)
class Limits:
    """Seconds after which the host ends itself; None for no such limit. Each is above 0."""

    idle: float | None = None
    lifetime: float | None = None
    lease: float | None = None

    @property
    def look(self):
        """Return the seconds between two looks."""
        return min(LOOK_SECONDS, max(SHORTEST_LOOK_SECONDS, self.shortest / LOOKS))

    @property
    def hold(self):
        """Return for how long a sign of attention holds an end back."""
        return min(HOLD_SECONDS, self.shortest)

    @property
    def shortest(self):
        """Return the shortest of the limits that idleness decides."""
        return min([seconds for seconds in (self.idle, self.lease) if seconds], default=HOLD_SECONDS)


@dataclass(frozen=True)
class Look:
    """The host at one moment. Marks are compared only: another mark means that something happened."""

    at: float
    lived: float  # since the rent
    open: bool  # the gate
    answers: bool  # vLLM
    busy: bool | None  # a request is under way, or the GPU works; None if unknown
    admitted: object = None  # mark of the log that has a line for each admitted request, at its end
    renewed: object = None  # mark of the lease
    attended: object = None  # mark of an operator's work
    left: bool = False  # a controller closed the gate to end this host, and may have died since

    @property
    def serves(self):
        """Return whether the host serves, or would if a controller had not closed its gate."""
        return (self.open or self.left) and self.answers

    @property
    def idle(self):
        """Return whether the host serves and has nothing to do. Unknown is not idle."""
        return self.serves and self.busy is False


@dataclass(frozen=True)
class State:
    """What the looks so far add up to. `fence`: the look after which the gate was closed; `asked`: when the market was."""

    last: Look
    idle: float = 0.0
    renewed: float = 0.0
    attended: float = 0.0
    phase: str = WATCHING
    why: str = ""
    fence: Look | None = None
    asked: float = float("-inf")
    tries: int = 0


def begin(look, why=""):
    """Return the state at a start. `why`: the reason if this host was ending itself before it was started again."""
    ending = {"phase": ENDING, "why": why, "fence": look} if why else {}
    return State(look, renewed=look.at, attended=look.at, **ending)


def step(state, look, limits):
    """Return the state after a look, and the action that is due."""
    state = _after(state, look)
    if state.phase == WATCHING:
        why = reason(state, limits)
        if not why:
            return state, Action.NOTHING
        return replace(state, phase=CLOSED, why=why, fence=look), Action.CLOSE
    if state.phase == CLOSED:
        return _settled(state, state.fence)
    if look.at - state.asked >= AGAIN_SECONDS[state.tries > 1]:
        return _end(state), Action.END
    return state, Action.CLOSE if look.open else Action.NOTHING


def reason(state, limits):
    """Return why the host should end itself now; empty if it should not."""
    look = state.last
    if limits.lifetime and look.lived >= limits.lifetime:
        return LIFETIME
    if not look.idle or look.at - state.attended < limits.hold:
        return ""
    if limits.idle and state.idle >= limits.idle:
        return IDLE
    lapsed = limits.lease and look.at - state.renewed >= limits.lease
    return LEASE if lapsed and state.idle >= min(QUIET_SECONDS, limits.lease) else ""


def pause(state, limits):
    """Return the seconds until the next look."""
    return {WATCHING: limits.look, CLOSED: SETTLE_SECONDS, ENDING: min(limits.look, AGAIN_SECONDS[0])}[state.phase]


def turn(state, host, limits):
    """Look at a host, do what is due, and return the state with the seconds until the next turn."""
    look = host.look()
    state, action = step(state, look, limits)
    if action is Action.CLOSE:
        host.close(look.attended)
    elif action is Action.REOPEN:
        host.reopen()
    elif action is Action.END:
        host.end(state.why, state.idle, look.lived)
    return state, pause(state, limits)


def lived(saved, boot, now):
    """Return the seconds that a host has lived: `saved` is (boot, clock, seconds) of an earlier moment.

    The clock begins anew with each boot of the machine. Time in which it was off is not counted.
    """
    was, clock, seconds = saved
    return seconds + (now - clock if was == boot and now >= clock else 0.0)


def _after(state, look):
    last = state.last
    seconds = look.at - last.at
    idle = state.idle
    if look.busy or look.admitted != last.admitted or not look.serves:
        idle = 0.0 if state.phase == WATCHING else idle
    elif last.idle and look.idle and 0 <= seconds <= LONGEST_LOOK_SECONDS:
        idle += seconds
    return replace(
        state,
        last=look,
        idle=idle,
        renewed=look.at if look.renewed != last.renewed else state.renewed,
        attended=look.at if look.attended != last.attended else state.attended,
    )


def _settled(state, fence):
    """Judge a gate that was closed after the look `fence`."""
    look = state.last
    if look.at - fence.at < SETTLE_SECONDS:
        return state, Action.NOTHING
    if state.why == LIFETIME:
        if look.busy is False or look.at - fence.at >= DRAIN_SECONDS:
            return _end(state), Action.END
        return state, Action.CLOSE if look.open else Action.NOTHING
    worked_on = look.attended != fence.attended
    renewed = state.why == LEASE and look.renewed != fence.renewed
    if look.busy is False and look.admitted == fence.admitted and not (look.open or worked_on or renewed):
        return _end(state), Action.END
    # An operator at work found the gate closed, and opens it after a proof. To open it now would skip the proof.
    action = Action.NOTHING if look.open or worked_on else Action.REOPEN
    return replace(state, phase=WATCHING, why="", fence=None, idle=0.0), action


def _end(state):
    return replace(state, phase=ENDING, asked=state.last.at, tries=state.tries + 1)
