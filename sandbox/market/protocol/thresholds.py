"""The market's request thresholds: the smallest interval between two calls of one kind, or the most calls in a
window.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Seconds between two calls that the market publishes.
PUBLISHED: Mapping[str, float] = {
    "create": 4.5,
    "show": 2.0,
    "list": 1.0,
    "change": 1.0,
    "reboot": 1.0,
    "destroy": 3.0,
    "ssh": 1.0,
    "logs": 1.0,
    "account": 2.0,
    "charges": 1.0,
    "apikeys": 2.0,
    "bid": 5.5,
    "invoices": 3.0,
}
# Kinds that may come in bursts: so many calls in so many seconds.
WINDOWS: Mapping[str, tuple[int, float]] = {"search": (10, 60.0)}


@dataclass(frozen=True)
class Refusal:
    """One 429 in one of the forms of the live market: a JSON body, or plain text if `body` is None; with a hint or
    without.
    """

    body: dict[str, object] | None
    text: str
    retry_after: float | None


class Thresholds:
    """Remembers each identity's last call of each endpoint, and counts all calls. Thread-safe.

    The intervals are market seconds and shrink with `time_scale`; `real` returns real seconds. The refusals take the
    market's forms in turn.
    """

    def __init__(self, time_scale: float, real: Callable[[], float], enforced: bool = True) -> None:
        self._time_scale = time_scale
        self._real = real
        self._enforced = enforced
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, str], deque[float]] = {}
        self._forms = 0
        self._calls: Counter[str] = Counter()
        self._too_early = 0

    @property
    def calls(self) -> dict[str, int]:
        """Return the number of calls of each endpoint, including those that came too early."""
        with self._lock:
            return dict(self._calls)

    @property
    def too_early(self) -> int:
        """Return the number of calls that came too early and got a 429."""
        with self._lock:
            return self._too_early

    def check(self, identity: str, endpoint: str) -> Refusal | None:
        """Return a refusal if this call comes too early, else None. A refused call does not restart the interval."""
        most, seconds = WINDOWS.get(endpoint) or (1, PUBLISHED[endpoint])
        window, now = seconds / self._time_scale, self._real()
        with self._lock:
            self._calls[endpoint] += 1
            taken = self._taken.setdefault((identity, endpoint), deque(maxlen=most))
            wait = taken[0] + window - now if len(taken) == most else 0.0
            if not self._enforced or wait <= 0:
                taken.append(now)
                return None
            self._too_early += 1
        return self.refusal(endpoint, wait)

    def refusal(self, endpoint: str, wait: float) -> Refusal:
        """Return the next form of a refusal; `wait` is in real seconds."""
        with self._lock:
            self._forms += 1
            form = self._forms % 4
        most, seconds = WINDOWS.get(endpoint) or (1, PUBLISHED[endpoint])
        threshold = seconds / most
        text = f"API requests too frequent: endpoint threshold={threshold}"
        if form == 0:
            return Refusal(None, text, None)
        if form == 1:
            return Refusal({"detail": f"API requests too frequent endpoint threshold={threshold}"}, text, None)
        body: dict[str, object] = {"success": False, "error": "rate_limit_exceeded", "msg": text}
        return Refusal(body, text, wait) if form == 2 else Refusal({**body, "retry_after": wait}, text, None)
