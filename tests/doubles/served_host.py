"""A host on a virtual clock, as self_destruct_rules.py sees it: who asks when, what is known, and when it ended."""

from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.scripts import self_destruct_rules as rules

LOOK_TAKES = 0.7  # seconds from the gauge to the log, with the question to the GPU between them
NEVER = float("inf")


@dataclass
class Request:
    """Sent at `at`, and done after `takes`. `admitted`: the gate let it in; `cut`: the host ended before it was done."""

    at: float
    takes: float
    admitted: bool | None = None
    cut: bool = False

    @property
    def end(self) -> float:
        return self.at + self.takes


@dataclass
class ServedHost:
    """Satisfies what `rules.turn` asks of a host. The market destroys it at the try `market_obeys_at`."""

    limits: rules.Limits
    requests: list[Request] = field(default_factory=list)
    unknown: list[tuple[float, float]] = field(default_factory=list)  # when the gate's metrics do not answer
    gpu_works: list[tuple[float, float]] = field(default_factory=list)
    down: list[tuple[float, float]] = field(default_factory=list)  # when vLLM does not answer
    starts: float = 0.0  # until then vLLM loads, and the gate is closed
    renewals: list[float] = field(default_factory=list)
    attention: list[float] = field(default_factory=list)
    market_obeys_at: int = 1
    now: float = 0.0
    is_open: bool = False
    opened: bool = False
    gone_at: float | None = None
    tries: list[float] = field(default_factory=list)
    why: str = ""
    closed: list[tuple[float, float]] = field(default_factory=list)  # the gate was closed from .. to

    def __post_init__(self) -> None:
        self._sorted, self._next = sorted(self.requests, key=lambda each: each.at), 0

    def pass_time(self, until: float) -> None:
        while self._next < len(self._sorted) and self._sorted[self._next].at <= until and self.gone_at is None:
            request = self._sorted[self._next]
            self._next += 1
            self._open_if_started(request.at)
            request.admitted = self.is_open
        self.now = until
        self._open_if_started(until)

    def _open_if_started(self, at: float) -> None:
        if at >= self.starts and not self.opened:
            self.is_open = self.opened = True

    def look(self) -> rules.Look:
        at = self.now
        attended, renewed = self._latest(self.attention, at), self._latest(self.renewals, at)
        is_open = self.is_open
        under_way = any(one.admitted and one.at <= at < one.end for one in self.requests)
        busy = under_way or self._within(self.gpu_works, at)
        self.pass_time(at + LOOK_TAKES)
        admitted = sum(1 for one in self.requests if one.admitted and one.end <= self.now)
        known = None if self._within(self.unknown, at) and not self._within(self.gpu_works, at) else busy
        answers = at >= self.starts and not self._within(self.down, at)
        return rules.Look(self.now, self.now, is_open, answers, known, admitted, renewed, attended)

    def close(self, attended: object) -> None:
        if self._latest(self.attention, self.now) == attended and self.is_open:
            self.is_open = False
            self.closed.append((self.now, NEVER))

    def reopen(self) -> None:
        self.is_open = True
        self.closed[-1] = (self.closed[-1][0], self.now)

    def end(self, why: str, idle: float, lived: float) -> None:
        self.why = why
        self.tries.append(self.now)
        if len(self.tries) >= self.market_obeys_at:
            self.gone_at = self.now
            for one in self.requests:
                one.cut = bool(one.admitted) and one.at <= self.now < one.end

    def run(self, until: float, state: rules.State | None = None) -> rules.State:
        """Take turns until the host is gone, or until `until`."""
        state = state or rules.begin(self.look())
        while self.gone_at is None and self.now < until:
            state, seconds = rules.turn(state, self, self.limits)
            if self.gone_at is None:
                self.pass_time(self.now + seconds)
        return state

    def restart(self, state: rules.State) -> rules.State:
        """Restart the machine: the service begins anew, and knows only that the host was ending itself, if it was."""
        self.is_open = False
        self.opened = True  # only a convergence opens the gate of a restarted host
        return rules.begin(self.look(), state.why if state.phase == rules.ENDING else "")

    @staticmethod
    def _latest(moments: list[float], at: float) -> float | None:
        return max((one for one in moments if one <= at), default=None)

    @staticmethod
    def _within(spans: list[tuple[float, float]], at: float) -> bool:
        return any(begin <= at < end for begin, end in spans)


def look(at: float, **changes: Any) -> rules.Look:
    """Return a look at an idle host that serves."""
    return replace(rules.Look(at, at, True, True, False), **changes)
