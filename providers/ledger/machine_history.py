"""Add up the ledger's events for each machine, pure: how long to avoid it, and which rates to expect of it.

A machine that failed is avoided for an hour, twice as long after each further failure without a success in between, and
for a week at most. A failure's weight halves every week. One measurement already counts more than the advertised value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from providers.ledger.event import Event, Outcome

HOUR = 3600.0
AVOIDED_SECONDS = HOUR  # after the first failure
LONGEST_AVOIDED_SECONDS = 7 * 24 * HOUR
HALF_LIFE_SECONDS = 7 * 24 * HOUR  # of a failure's weight
MEASUREMENTS = 5  # the latest measurements that count
ADVERTISED_WEIGHT = 0.5  # of an advertised value, in measurements: one measurement outweighs it
RELIABILITY_WEIGHT = 4.0  # of an advertised reliability, in attempts of ours


@dataclass(frozen=True)
class MachineHistory:
    """Hold our experience with one machine. `strikes`: weight of the failures since the last success, at `last_failure`."""

    served: int = 0
    failed: int = 0
    strikes: float = 0.0
    last_failure: float | None = None  # unix seconds
    last_reason: str | None = None
    download_mbps: tuple[float, ...] = ()  # latest last
    boot_seconds: tuple[float, ...] = ()  # by the market's clock

    def believed_mbps(self, advertised: float) -> float:
        """Return the expected download rate in Mb/s, between the advertised rate and the measured ones."""
        return _believed(advertised, self.download_mbps)

    def believed_boot_seconds(self, reckoned: float) -> float:
        """Return the expected seconds from rent to running, between the estimate by size and line and the measured ones."""
        return _believed(reckoned, self.boot_seconds)

    def believed_reliability(self, advertised: float) -> float:
        """Return the expected reliability from 0 to 1: the advertised one, corrected by our own attempts."""
        tried = self.served + self.failed
        return (RELIABILITY_WEIGHT * advertised + self.served) / (RELIABILITY_WEIGHT + tried)

    @property
    def avoided_until(self) -> float | None:
        """Return the unix seconds from which it may be rented again; None if it has not failed."""
        if self.last_failure is None or self.strikes <= 0:
            return None
        # Fewer strikes than one do not shorten the time: a machine that just failed is avoided for AVOIDED_SECONDS.
        doublings = max(0.0, self.strikes - 1)
        if doublings > 20:  # far past the longest time, and 2.0 ** n overflows for large n
            return self.last_failure + LONGEST_AVOIDED_SECONDS
        span: float = min(LONGEST_AVOIDED_SECONDS, AVOIDED_SECONDS * 2.0**doublings)
        return self.last_failure + span


NOTHING = MachineHistory()


def fold(events: Iterable[Event]) -> dict[int, MachineHistory]:
    """Add up the ends of attempts by machine id. The events' order does not matter, and repeats count once."""
    ends = {event.key: event for event in events if event.machine_id is not None and _counts(event)}
    records: dict[int, MachineHistory] = {}
    for event in sorted(ends.values(), key=lambda each: (each.at, each.key)):
        assert event.machine_id is not None
        records[event.machine_id] = _after(records.get(event.machine_id, NOTHING), event)
    return records


def avoided(records: Mapping[int, MachineHistory], now: float) -> dict[int, float]:
    """Return the machines to avoid at `now`, each with the time until which. Both in unix seconds."""
    until = {machine: record.avoided_until for machine, record in records.items()}
    return {machine: end for machine, end in until.items() if end is not None and end > now}


def _counts(event: Event) -> bool:
    return event.outcome is Outcome.SERVED or (
        event.outcome is Outcome.FAILED and event.reason is not None and event.reason.blames_machine
    )


def _after(record: MachineHistory, event: Event) -> MachineHistory:
    measured = replace(
        record,
        download_mbps=_latest(record.download_mbps, event.download_mbps),
        boot_seconds=_latest(record.boot_seconds, event.boot_seconds),
    )
    if event.outcome is Outcome.SERVED:
        return replace(measured, served=record.served + 1, strikes=0.0)
    return replace(
        measured,
        failed=record.failed + 1,
        strikes=_weight_at(record, event.at) + 1,
        last_failure=event.at,
        last_reason=event.reason.value if event.reason else None,
    )


def _weight_at(record: MachineHistory, now: float) -> float:
    if record.last_failure is None:
        return 0.0
    weight: float = record.strikes * 0.5 ** ((now - record.last_failure) / HALF_LIFE_SECONDS)
    return weight


def _latest(known: tuple[float, ...], value: float | None) -> tuple[float, ...]:
    return known if value is None else (*known, value)[-MEASUREMENTS:]


def _believed(advertised: float, measured: tuple[float, ...]) -> float:
    return (ADVERTISED_WEIGHT * advertised + sum(measured)) / (ADVERTISED_WEIGHT + len(measured))
