"""The ledger as renting sees it: events go in, and what they add up to comes out. Where they are kept is handed in."""

from collections.abc import Callable, Mapping
from typing import Protocol

from providers.ledger.event import Event
from providers.ledger.machine_history import MachineHistory

LOG_BYTES = 64 * 1024


class Ledger(Protocol):
    """Where events go and what they add up to. No method ever raises, and all return within bounded time."""

    def append(self, event: Event) -> None:
        """Write an event down; once it returns, the end of this process does not lose it."""

    def keep(self, event: Event, text: str) -> None:
        """Write down what a machine said, beside the event that says why its attempt failed."""

    def records(self) -> Mapping[int, MachineHistory]:
        """Return what is known of machines, by machine id."""


class CleanLedger:
    """Another ledger; what is written passes `clean` first, because it quotes what hosts and stores say. Of a text that is
    kept the end is, up to LOG_BYTES.
    """

    def __init__(self, ledger: Ledger, clean: Callable[[str], str]) -> None:
        self._ledger, self._clean = ledger, clean

    def append(self, event: Event) -> None:
        """Write a clean event down."""
        self._ledger.append(event.model_copy(update={"message": self._clean(event.message)}))

    def keep(self, event: Event, text: str) -> None:
        """Write the end of a clean text down."""
        # Cut after it is clean: half of a secret would not be known for one.
        end = self._clean(text).encode(errors="replace")[-LOG_BYTES:]
        self._ledger.keep(event, end.decode(errors="ignore"))

    def records(self) -> Mapping[int, MachineHistory]:
        """Return what is known of machines, by machine id."""
        return self._ledger.records()


class NoLedger:
    """Remembers nothing."""

    def append(self, event: Event) -> None:
        """Drop it."""

    def keep(self, event: Event, text: str) -> None:
        """Drop it."""

    def records(self) -> Mapping[int, MachineHistory]:
        """Return nothing."""
        return {}
