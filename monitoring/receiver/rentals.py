"""Knows which instances are still rented. A host whose rent ended may not write any more.

If no exporter knows about an instance, it counts as rented.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from monitoring.receiver.admission import Sender

GRACE_SECONDS = 600.0  # last samples may still be under way, and the market may leave a row out for a while
EVERY_SECONDS = 60.0


class Unknown(Exception):
    """Prometheus cannot be asked now which instances are rented."""


@dataclass(frozen=True)
class Rented:
    """The stacks whose rentals an exporter knows at this moment, and the instances that they rent."""

    stack_ids: Collection[str] = ()
    instance_ids: Collection[str] = ()


class Rentals:
    """`ask` returns the rented instances, or raises Unknown. Thread-safe: one thread learns, others read."""

    def __init__(self, ask: Callable[[], Rented], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._monotonic = ask, monotonic
        self._rented = Rented()
        self._missing: dict[str, float] = {}  # instance id -> since when

    def learn(self) -> None:
        """Ask once and remember the answer."""
        try:
            self._rented = self._ask()
        except Unknown:
            self._rented = Rented()

    def ended(self, sender: Sender) -> bool:
        """Return True once exporters have reported for ten minutes on end that a sender's instance is not rented."""
        rented = self._rented
        if sender.stack_id not in rented.stack_ids or sender.instance_id in rented.instance_ids:
            self._missing.pop(sender.instance_id, None)
            return False
        now = self._monotonic()
        return now - self._missing.setdefault(sender.instance_id, now) > GRACE_SECONDS

    def watch(self, ended: threading.Event, every: float = EVERY_SECONDS) -> None:
        """Learn every `every` seconds until `ended` is set."""
        while True:
            self.learn()
            if ended.wait(every):
                return
