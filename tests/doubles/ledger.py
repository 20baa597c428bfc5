"""A ledger in memory, for rules that write and ask."""

from collections.abc import Callable, Mapping

from providers.ledger.event import Event
from providers.ledger.machine_history import MachineHistory, fold


class FakeLedger:
    """Satisfies `Ledger`. `before_each` is called before an event is taken in, to see what had happened until then."""

    def __init__(self, *known: Event, before_each: Callable[[Event], object] | None = None) -> None:
        self.events: list[Event] = list(known)
        self.logs: dict[str, str] = {}
        self._before_each = before_each

    def append(self, event: Event) -> None:
        if self._before_each:
            self._before_each(event)
        self.events.append(event)

    def keep(self, event: Event, text: str) -> None:
        self.logs[event.log_key] = text

    def machine_histories(self) -> Mapping[int, MachineHistory]:
        return fold(self.events)

    @property
    def outcomes(self) -> list[str]:
        """The outcomes in order, phases by their names."""
        return [event.phase or "" if event.outcome.value == "passed" else event.outcome.value for event in self.events]
