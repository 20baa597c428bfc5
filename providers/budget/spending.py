"""Read the sum that a stack has spent: by its ledger, and by the market's charges if the key may read them.

It keeps both for a while, so that the renters of one process ask once. It raises SpendUnknown if it cannot read the ledger,
or if the last charges are over an hour old. If the key may not read charges, our own count holds.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from bootstrap.clock import Clock
from providers.budget.errors import SpendUnknown
from providers.budget.own_count import COUNTED, Rental, rentals_of
from providers.budget.period import periods_of
from providers.ledger.bucket_ledger import BucketLedger
from providers.ledger.event import Event
from providers.ledger.folder_ledger import FolderLedger
from providers.store.errors import StoreError
from providers.vast.api import label
from providers.vast.api.charge_cache import ChargeCache
from providers.vast.api.errors import CredentialsRefused, VastError
from providers.vast.api.responses import Charge
from providers.vast.api.spend import spent

LEDGER_SECONDS = 60.0
CHARGES_SECONDS = 300.0
OLDEST_SECONDS = 3600.0  # older charges are unknown
BEFORE_SECONDS = 86_400.0  # before the month: events of rents that went on into it

AskCharges = Callable[[float, float], Sequence[Charge]]
Charged = Mapping[str, Mapping[str, float]]  # $ by period and by an instance's name


class Spending(Protocol):
    """The two counts of a stack's spend. Methods raise SpendUnknown."""

    def rentals(self) -> Mapping[int, Rental]:
        """Return the stack's rentals of this month by the ledger."""

    def charged(self, ask: AskCharges | None) -> Charged | None:
        """Return the market's charges; None if the key may not read them. `ask` asks the market."""


class StackSpending:
    """Satisfies `Spending` for one stack. Thread-safe. `scale`: seconds of the market in one of ours."""

    def __init__(self, ledger: BucketLedger | FolderLedger, stack_id: str, clock: Clock, scale: float = 1.0) -> None:
        self._ledger, self._stack_id, self._clock, self._scale = ledger, stack_id, clock, scale
        self._ask: AskCharges | None = None
        self._charges = ChargeCache(self._asked, _month_begins(clock), clock.time)
        self._events: dict[str, Event] = {}
        self._rentals: Mapping[int, Rental] = {}
        self._read_at = self._asked_at = self._tried_at = float("-inf")
        self._found: Sequence[Charge] | None = None
        self._trouble = ""
        self._guard = threading.Lock()

    def rentals(self) -> Mapping[int, Rental]:
        """Return the rentals, from events that were read a minute ago at most."""
        with self._guard:
            now = self._clock.monotonic()
            if now - self._read_at >= LEDGER_SECONDS:
                since = f"{datetime.fromtimestamp(_month_begins(self._clock) - BEFORE_SECONDS, UTC):%Y-%m-%d}"
                try:
                    fresh = self._ledger.fresh(self._stack_id, since, COUNTED, self._events.keys())
                except StoreError as error:
                    raise SpendUnknown(
                        f"the spend cannot be counted, because the ledger cannot be read: {error}"
                    ) from error
                self._events |= {event.key: event for event in fresh}
                self._rentals, self._read_at = rentals_of(self._events.values(), self._scale), now
            return self._rentals

    def charged(self, ask: AskCharges | None) -> Charged | None:
        """Return the market's charges, read five minutes ago at most, or an hour ago while it does not answer."""
        if ask is None:
            return None
        with self._guard:
            now = self._clock.monotonic()
            if now - self._tried_at >= CHARGES_SECONDS:
                self._ask = ask
                self._read_charges(now)
            if self._found is None:
                return None
            if now - self._asked_at > OLDEST_SECONDS:
                raise SpendUnknown(f"the market's charges are unknown: {self._trouble}")
            return self._by_period(self._found)

    def _asked(self, since: float, until: float) -> Sequence[Charge]:
        assert self._ask is not None
        return self._ask(since, until)

    def _read_charges(self, now: float) -> None:
        try:
            self._found, self._asked_at, self._tried_at = self._charges(), now, now
        except CredentialsRefused:
            self._found, self._tried_at = None, now
        except VastError as error:
            self._trouble = str(error)
            self._found = self._found or ()  # unknown, and not refused

    def _by_period(self, charges: Sequence[Charge]) -> Charged:
        names = {one.instance_id or 0: one.name for one in self._events.values() if one.instance_id}
        found: dict[str, dict[str, float]] = {period.name: {} for period in periods_of(self._clock.time())}
        for charge in charges:
            mark = label.parse(charge.metadata.label)
            if mark and mark.stack_id != self._stack_id:
                continue
            name = mark.name if mark else names.get(charge.instance_id or 0)
            if name is None:
                continue  # another stack's on the same account
            for period, usd in spent([charge], self._clock.time()).items():
                found[period][name] = found[period].get(name, 0.0) + usd
        return found


def _month_begins(clock: Clock) -> float:
    return periods_of(clock.time())[1].begins
