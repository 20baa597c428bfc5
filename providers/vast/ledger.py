"""The ledger as renting sees it: events go in, and what they add up to comes out. Where they are kept is handed in."""

from collections.abc import Callable, Mapping
from typing import Protocol

from providers.vast.event import Event
from providers.vast.record import Record


class Ledger(Protocol):
    """Where events go and what they add up to. Neither method ever raises, and both return within bounded time."""

    def append(self, event: Event) -> None:
        """Write an event down; once it returns, the end of this process does not lose it."""

    def records(self) -> Mapping[int, Record]:
        """Return what is known of machines, by machine id."""


class CleanLedger:
    """Another ledger; what events say passes `clean` first, because messages quote what hosts and stores say."""

    def __init__(self, ledger: Ledger, clean: Callable[[str], str]) -> None:
        self._ledger, self._clean = ledger, clean

    def append(self, event: Event) -> None:
        """Write a clean event down."""
        self._ledger.append(event.model_copy(update={"message": self._clean(event.message)}))

    def records(self) -> Mapping[int, Record]:
        """Return what is known of machines, by machine id."""
        return self._ledger.records()


class NoLedger:
    """Remembers nothing."""

    def append(self, event: Event) -> None:
        """Drop it."""

    def records(self) -> Mapping[int, Record]:
        """Return nothing."""
        return {}
