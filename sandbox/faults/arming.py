"""Decides when an armed fault strikes: the user's order, and pure rules."""

from dataclasses import dataclass, replace
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Arming(BaseModel):
    """One order to let a fault strike.

    An occasion counts if it is in scope (`instance`, `call`) and inside the window. The window opens `after` market
    seconds from the arming and stays open for `seconds`, or for good. From the `nth` such occasion on, the fault
    strikes with `probability`, until it has struck `times` times.

    Without `times` it strikes once. It strikes without end if `probability` or `seconds` is given, or if the fault
    itself lasts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    times: int | None = Field(default=None, ge=1)
    nth: int = Field(default=1, ge=1)
    # An instance's id, its label, or the last part of its label, such as chat-0.
    instance: str | None = Field(default=None, min_length=1)
    # The kind of call to the market, such as list or destroy, for faults that any call can meet.
    call: str | None = None
    # The field that a fault of one row spoils; without it, each strike spoils the next of the fault's fields.
    field: str | None = None
    probability: float | None = Field(default=None, gt=0, le=1)
    seed: int = 0
    after: float = Field(default=0.0, ge=0)
    seconds: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _finite(self) -> Self:
        if float("inf") in (self.after, self.seconds):
            raise ValueError("a window has finite ends; leave `seconds` out for one without an end")
        return self

    @property
    def limit(self) -> int | None:
        """The most times that it strikes; None is without end."""
        if self.times is None and self.probability is None and self.seconds is None:
            return 1
        return self.times


@dataclass(frozen=True)
class Subject:
    """An instance that an occasion concerns."""

    id: int
    label: str | None = None


@dataclass(frozen=True)
class Occasion:
    """A moment at which a fault could strike. A list of instances concerns all of them, another call one or none."""

    subjects: tuple[Subject, ...] = ()
    call: str | None = None


@dataclass(frozen=True)
class Tally:
    """The result of one arming so far. `armed_at` is in market seconds; of `seen` counted occasions, `struck` struck."""

    armed_at: float
    seen: int = 0
    struck: int = 0


def decide(arming: Arming, tally: Tally, occasion: Occasion, now: float, draw: float) -> tuple[Tally, bool]:
    """Return the tally after this occasion, and whether the fault strikes. `draw` is random in [0, 1)."""
    if not opened(arming, tally, now) or over(arming, tally, now) or not in_scope(arming, occasion):
        return tally, False
    seen = tally.seen + 1
    struck = seen >= arming.nth and (arming.probability is None or draw < arming.probability)
    return replace(tally, seen=seen, struck=tally.struck + struck), struck


def opened(arming: Arming, tally: Tally, now: float) -> bool:
    """Return whether the window has opened."""
    return now >= tally.armed_at + arming.after


def closed(arming: Arming, tally: Tally, now: float) -> bool:
    """Return whether the window has closed for good."""
    return arming.seconds is not None and now >= tally.armed_at + arming.after + arming.seconds


def over(arming: Arming, tally: Tally, now: float) -> bool:
    """Return whether it will never strike again."""
    return closed(arming, tally, now) or (arming.limit is not None and tally.struck >= arming.limit)


def in_scope(arming: Arming, occasion: Occasion) -> bool:
    """Return whether an occasion is of the ordered kind and concerns the ordered instance."""
    if arming.call is not None and arming.call != occasion.call:
        return False
    return arming.instance is None or any(_named(arming.instance, subject) for subject in occasion.subjects)


def _named(name: str, subject: Subject) -> bool:
    label = subject.label or ""
    return name in (str(subject.id), label) or label.endswith("/" + name)
