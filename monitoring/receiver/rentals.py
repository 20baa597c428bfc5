"""Whose rent has ended: such a host is no sender any more. Unknown never means ended."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from monitoring.receiver.admission import Sender

GRACE_SECONDS = 600.0  # its last words may still be under way, and a market may leave a row out for a while
EVERY_SECONDS = 60.0


class Unknown(Exception):
    """Nobody can say now what is rented."""


@dataclass(frozen=True)
class Rented:
    """What is rented, of the stacks of which that is known at this moment."""

    stack_ids: Collection[str] = ()
    instance_ids: Collection[str] = ()


class Rentals:
    """`ask` returns what is rented, or raises Unknown. Thread-safe: one thread learns, others ask."""

    def __init__(self, ask: Callable[[], Rented], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._monotonic = ask, monotonic
        self._rented = Rented()
        self._missing: dict[str, float] = {}  # instance id -> since when

    def learn(self) -> None:
        """Ask once."""
        try:
            self._rented = self._ask()
        except Unknown:
            self._rented = Rented()

    def ended(self, sender: Sender) -> bool:
        """Say whether a sender's instance has not been rented for ten minutes, all of that time for sure."""
        rented = self._rented
        if sender.stack_id not in rented.stack_ids or sender.instance_id in rented.instance_ids:
            self._missing.pop(sender.instance_id, None)
            return False
        now = self._monotonic()
        return now - self._missing.setdefault(sender.instance_id, now) > GRACE_SECONDS

    def watch(self, ended: threading.Event, every: float = EVERY_SECONDS) -> None:
        """Learn again and again until told to end."""
        while True:
            self.learn()
            if ended.wait(every):
                return
