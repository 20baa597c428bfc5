"""Define the ledger's interface: renting writes events and reads histories of machines. The caller chooses the storage."""

from collections.abc import Callable, Mapping
from typing import Protocol

from providers.ledger.event import Event
from providers.ledger.machine_history import MachineHistory

LOG_BYTES = 64 * 1024


class Ledger(Protocol):
    """Keep events and add them up by machine. No method ever raises, and all return within bounded time."""

    def append(self, event: Event) -> None:
        """Write an event. After the return, the end of this process does not lose it."""

    def keep(self, event: Event, text: str) -> None:
        """Write a machine's log beside the event that says why its attempt failed."""

    def machine_histories(self) -> Mapping[int, MachineHistory]:
        """Return each machine's history by its id."""


class CleanLedger:
    """Redact texts with `clean`, then hand them to another ledger: messages quote outputs of hosts and stores.

    Of a log only the last LOG_BYTES are kept.
    """

    def __init__(self, ledger: Ledger, clean: Callable[[str], str]) -> None:
        self._ledger, self._clean = ledger, clean

    def append(self, event: Event) -> None:
        """Write an event with its message redacted."""
        self._ledger.append(event.model_copy(update={"message": self._clean(event.message)}))

    def keep(self, event: Event, text: str) -> None:
        """Write the end of a redacted log."""
        # Redact first, then cut: `clean` does not recognise half of a secret.
        end = self._clean(text).encode(errors="replace")[-LOG_BYTES:]
        self._ledger.keep(event, end.decode(errors="ignore"))

    def machine_histories(self) -> Mapping[int, MachineHistory]:
        """Return each machine's history by its id."""
        return self._ledger.machine_histories()


class NoLedger:
    """Keep nothing."""

    def append(self, event: Event) -> None:
        """Drop the event."""

    def keep(self, event: Event, text: str) -> None:
        """Drop the log."""

    def machine_histories(self) -> Mapping[int, MachineHistory]:
        """Return nothing."""
        return {}
