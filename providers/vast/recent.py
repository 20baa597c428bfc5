"""Searches of a moment ago, shared by the instances of one process.

The market allows ten searches a minute, and every instance of a fleet searches twice, once in check and once in create,
for the same thing: without this a fleet of eight waits longer for its searches than for its rents. A list that is a few
seconds old is as good as a new one, because between search and rent anybody may take an offer anyway; once one turns out
to be taken, the list is asked for anew. `turn` keeps the sharers from racing for one offer.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

from bootstrap.clock import Clock
from providers.vast.offers import Offer

FRESH_SECONDS = 30.0  # market seconds
LOOK_SECONDS = 0.02  # while another thread asks the same


class RecentSearches:
    """Remembers one market's answers to searches, by query. Thread-safe: of several that ask at once one asks the market."""

    def __init__(self, time_scale: float = 1.0) -> None:
        self._fresh_seconds = FRESH_SECONDS / time_scale
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, list[Offer]]] = {}
        self._asking: dict[str, threading.Lock] = {}

    def get(self, query: dict[str, Any], ask: Callable[[], list[Offer]], clock: Clock) -> list[Offer]:
        """Return a fresh answer to `query`, by `ask` where none is known. Raises what `ask` and the clock raise."""
        key = json.dumps(query, sort_keys=True)
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        # Waited for through the clock, so that a vanished engine is noticed.
        while not asking.acquire(blocking=False):
            clock.sleep(LOOK_SECONDS)
        try:
            with self._lock:
                asked, offers = self._known.get(key, (float("-inf"), []))
            if clock.monotonic() - asked > self._fresh_seconds:
                asked, offers = clock.monotonic(), ask()
                with self._lock:
                    self._known[key] = asked, offers
            return list(offers)
        finally:
            asking.release()

    def forget(self) -> None:
        """Forget everything, because something that was listed is gone."""
        with self._lock:
            self._known.clear()
