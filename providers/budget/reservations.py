"""Reservations: the possible cost of rents under way, kept from before the rent call until the market lists the rent. Pure.

A reservation counts until the market lists its instance, or until its end is known. If a process died before it could say
how its rent ended, the reservation counts until it expires: an unknown sum is never zero.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from providers.vast.api import label
from providers.vast.api.instance import Instance

ENDED_SECONDS = 6 * 3600.0  # for which an end is kept; the ledger has it long before
LATE_SECONDS = 300.0  # market seconds for which a list may still show an instance that has ended
MISSED_SECONDS = 40 * 86_400.0


class Reservation(BaseModel):
    """One rent. Moments are unix seconds, prices US dollars an hour of ours. `computer` and `process` wrote it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    at: float
    until: float
    usd_per_hour: float = Field(ge=0)
    once_usd: float = Field(0.0, ge=0)
    max_hours: float | None = None
    machine_id: int | None = None
    instance_id: int | None = None
    computer: str = ""
    process: int = 0
    dead_at: float | None = None  # when its computer first found its process dead, before its instance was known

    def usd(self, hours: float) -> float:
        """Return $ at most within so many hours after the rent."""
        most = hours if self.max_hours is None else min(hours, self.max_hours)
        return self.usd_per_hour * most + self.once_usd


class Book(BaseModel):
    """The book that all renters of a stack share. Instances are by id.

    `ended`: ends that a renter saw, sooner than the ledger's readers learn them. The reservation stays until it expires, as
    the record of the instance's cost. `missed`: the moment at which a list first lacked an instance of unknown end.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    reservations: dict[str, Reservation] = Field(default_factory=dict)
    ended: dict[int, float] = Field(default_factory=dict)
    missed: dict[int, float] = Field(default_factory=dict)

    def with_reservation(self, key: str, one: Reservation) -> "Book":
        """Return the book with one more reservation."""
        return self.model_copy(update={"reservations": {**self.reservations, key: one}})

    def with_instance(self, key: str, instance_id: int) -> "Book":
        """Return the book after the market has named the instance of a reservation."""
        known = self.reservations.get(key)
        return (
            self if known is None else self.with_reservation(key, known.model_copy(update={"instance_id": instance_id}))
        )

    def without(self, key: str) -> "Book":
        """Return the book after a rent that did not happen."""
        return self.model_copy(
            update={"reservations": {name: one for name, one in self.reservations.items() if name != key}}
        )

    def with_end(self, instance_id: int, at: float) -> "Book":
        """Return the book after the market has confirmed that an instance is gone."""
        missed = {one: since for one, since in self.missed.items() if one != instance_id}
        return self.model_copy(update={"ended": {**self.ended, instance_id: at}, "missed": missed})

    def pruned(self, now: float) -> "Book":
        """Return the book without expired reservations and old ends."""
        kept = {key: one for key, one in self.reservations.items() if one.until > now}
        named = {one.instance_id for one in kept.values()}
        return self.model_copy(
            update={
                "reservations": kept,
                "ended": {one: at for one, at in self.ended.items() if one in named or at > now - ENDED_SECONDS},
                "missed": {number: at for number, at in self.missed.items() if at > now - MISSED_SECONDS},
            }
        )

    def instance_ids(self) -> frozenset[int]:
        """Return the instances that reservations name."""
        return frozenset(one.instance_id for one in self.reservations.values() if one.instance_id is not None)


@dataclass(frozen=True)
class Here:
    """This computer, as reservations name it. `is_alive` says of a process of it whether it may live."""

    computer: str
    process: int
    is_alive: Callable[[int], bool]


def with_deaths(book: Book, now: float, here: Here) -> Book:
    """Return the book with the moment at which this computer first found the process of a reservation dead."""
    dead = {
        key: one.model_copy(update={"dead_at": now})
        for key, one in book.reservations.items()
        if one.dead_at is None
        and one.instance_id is None
        and one.computer == here.computer
        and one.process != here.process
        and not here.is_alive(one.process)
    }
    return book.model_copy(update={"reservations": {**book.reservations, **dead}}) if dead else book


def open_reservations(
    book: Book, rows: Sequence[Instance], ended: Mapping[int, float], now: float, settled: float
) -> dict[str, Reservation]:
    """Return the reservations that count, by key.

    `rows`: the market's rows of the stack. `ended`: known ends. `settled`: a rent before this moment (unix seconds) shows
    in the rows. A rent whose process was dead before it, and which no row shows, did not take effect.
    """
    by_id = {row.id for row in rows}
    free = _by_name(rows, book)
    found = {}
    for key, one in book.reservations.items():
        if one.until <= now:
            continue
        if one.instance_id is not None:
            if one.instance_id not in by_id and one.instance_id not in ended:
                found[key] = one
            continue
        mine = free.get(one.name, [])
        shown = next((row for row in mine if row.machine_id is not None and row.machine_id == one.machine_id), None)
        if shown is not None:
            mine.remove(shown)
        elif one.dead_at is None or one.dead_at >= settled or mine:
            found[key] = one
    return found


def _by_name(rows: Iterable[Instance], book: Book) -> dict[str, list[Instance]]:
    """Return the rows that no reservation names by their ids, by the name in their label."""
    named, found = book.instance_ids(), dict[str, list[Instance]]()
    for row in rows:
        mark = label.parse(row.label)
        if mark and row.id not in named:
            found.setdefault(mark.name, []).append(row)
    return found
