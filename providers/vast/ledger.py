"""The ledger as renting sees it: events go in, and what they add up to comes out. Where they are kept is handed in."""

from collections.abc import Mapping
from typing import Protocol

from providers.vast.event import Event
from providers.vast.record import Record


class Ledger(Protocol):
    """Where events go and what they add up to. Neither method ever raises, and both return within bounded time."""

    def append(self, event: Event) -> None:
        """Write an event down; once it returns, the end of this process does not lose it."""

    def records(self) -> Mapping[int, Record]:
        """Return what is known of machines, by machine id."""


class NoLedger:
    """Remembers nothing."""

    def append(self, event: Event) -> None:
        """Drop it."""

    def records(self) -> Mapping[int, Record]:
        """Return nothing."""
        return {}
