"""Keeps the armed faults of a sandbox and the result of each arming."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from sandbox.faults.arming import Arming, Occasion, Tally, closed, decide, opened, over
from sandbox.faults.catalogue import named
from sandbox.faults.fault import Fault, FaultUnknown, Room

ANYTHING = Occasion()


@dataclass
class Armed:
    """One arming and its tally. `judged` holds the instances that already had their one occasion.

    `outage_until` is the end, in market seconds, of an outage that has begun.
    """

    arming: Arming
    fault: Fault
    tally: Tally
    off: bool = False
    judged: set[int] = field(default_factory=set)
    outage_until: float = float("-inf")


class Faults:
    """The armed faults of one sandbox. Thread-safe.

    `at_once` maps the name of a fault without an occasion to the function that plays it. `missing` names the rooms
    that this sandbox runs without. `clock` returns market seconds; the market replaces it with its own.
    """

    def __init__(
        self,
        at_once: Mapping[str, Callable[[], None]] | None = None,
        clock: Callable[[], float] = time.time,
        missing: frozenset[Room] = frozenset(),
    ) -> None:
        self.clock = clock
        self.changed: Callable[[], None] = lambda: None
        self._at_once = dict(at_once or {})
        self._missing = missing
        self._lock = threading.RLock()
        self._armed: list[Armed] = []

    def bring(self, room: Room) -> None:
        """Let faults of a room be armed from now on: its part of the sandbox has joined."""
        self._missing -= {room}

    def arm(self, name: str, times: int | None = None, **options: Any) -> Arming:
        """Arm a fault; the options are those of Arming. Arming twice counts twice.

        Raises FaultUnknown for an order that makes no sense. A fault that strikes at once also raises the errors of
        its room.
        """
        fault = named(name)
        arming = _validated(fault, {"name": name, "times": times, **options})
        if fault.room in self._missing or (fault.at_once and name not in self._at_once):
            raise FaultUnknown(f"'{name}' needs the {_PART[fault.room]}, and this sandbox runs without one.")
        armed = Armed(arming, fault, Tally(self.clock()))
        if fault.at_once:
            self._play_at_once(armed)
        with self._lock:
            self._armed.append(armed)
        self.changed()
        return arming

    def disarm(self, name: str) -> int:
        """Switch every arming of a fault off and return their number. The sandbox then mends the damage that it can
        mend.

        Raises FaultUnknown.
        """
        named(name)
        with self._lock:
            ended = [one for one in self._armed if one.fault.name == name and not one.off]
            for one in ended:
                one.off = True
        self.changed()
        return len(ended)

    def take(self, name: str, occasion: Occasion = ANYTHING, once: int | None = None) -> Armed | None:
        """Count this occasion and return the arming that strikes now, or None.

        Every arming of the name counts the occasion until one strikes. `once` is an instance's id; an arming counts
        that instance only once.
        """
        now = self.clock()
        with self._lock:
            for one in self._armed:
                if one.fault.name != name or one.off or (once is not None and once in one.judged):
                    continue
                if now < one.outage_until:
                    return one
                seen = one.tally.seen
                draw = random.Random(f"{one.arming.seed}/{seen}").random()
                one.tally, struck = decide(one.arming, one.tally, occasion, now, draw)
                if once is not None and one.tally.seen > seen:
                    one.judged.add(once)
                if struck:
                    if one.arming.seconds is None:
                        one.outage_until = now + one.fault.outage_seconds
                    return one
        return None

    def waiting(self, *rooms: Room) -> list[Arming]:
        """Return the armings of these rooms that may strike at this moment, oldest first."""
        now = self.clock()
        with self._lock:
            return [
                one.arming
                for one in self._armed
                if one.fault.room in rooms and not self._ended(one, now) and opened(one.arming, one.tally, now)
            ]

    def pending(self, room: Room) -> bool:
        """Return whether a fault of this room may strike, now or later."""
        now = self.clock()
        with self._lock:
            return any(one.fault.room == room and not self._ended(one, now) for one in self._armed)

    def lasting(self, armed: Armed) -> bool:
        """Return whether an arming's damage stays: the arming is not switched off and its window has not closed."""
        return not armed.off and not closed(armed.arming, armed.tally, self.clock())

    def armed(self) -> dict[str, int | None]:
        """Return name -> strikes that are left, None for without end. Finished faults are left out."""
        now, left = self.clock(), dict[str, int | None]()
        with self._lock:
            for one in self._armed:
                if not self._ended(one, now):
                    before, limit = left.get(one.fault.name, 0), one.arming.limit
                    more = None if limit is None else limit - one.tally.struck
                    left[one.fault.name] = None if before is None or more is None else before + more
        return left

    def report(self) -> list[dict[str, Any]]:
        """Return every arming with its counts, and whether it is over."""
        now = self.clock()
        with self._lock:
            return [
                {
                    **one.arming.model_dump(exclude_defaults=True),
                    "struck": one.tally.struck,
                    "seen": one.tally.seen,
                    "over": self._ended(one, now),
                }
                for one in self._armed
            ]

    def _ended(self, one: Armed, now: float) -> bool:
        return one.off or (over(one.arming, one.tally, now) and now >= one.outage_until)

    def _play_at_once(self, armed: Armed) -> None:
        for _ in range(armed.arming.times or 1):
            self._at_once[armed.fault.name]()
            armed.tally = Tally(armed.tally.armed_at, armed.tally.seen + 1, armed.tally.struck + 1)


_PART: Mapping[Room, str] = {
    "market": "market",
    "host": "hosts",
    "store": "object store",
    "vllm": "hosts",
    "hetzner": "Hetzner API (python -m sandbox hetzner)",
}


def _validated(fault: Fault, options: dict[str, Any]) -> Arming:
    times = options["times"]
    if isinstance(times, int) and times < 1:
        raise FaultUnknown(f"'{fault.name}' can strike once or more often, not {times} times.")
    try:
        arming = Arming.model_validate({key: value for key, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"])) or "arming"
        raise FaultUnknown(f"'{fault.name}' cannot be armed so: {option}: {first['msg']}.") from None
    if fault.calls and arming.call not in (None, *fault.calls):
        raise FaultUnknown(f"'{fault.name}' strikes {' and '.join(fault.calls)} calls, not {arming.call} calls.")
    if arming.field is not None and arming.field not in fault.fields:
        known = f"spoils one of {', '.join(fault.fields)}" if fault.fields else "spoils no field"
        raise FaultUnknown(f"'{fault.name}' {known}, not {arming.field}.")
    if fault.room == "store" and arming.instance is not None:
        raise FaultUnknown(
            f"'{fault.name}' strikes every client of the store, which cannot tell one instance from another."
        )
    given = {"nth", "instance", "call", "probability", "after", "seconds"} & arming.model_fields_set
    if fault.at_once and given:
        raise FaultUnknown(f"'{fault.name}' strikes at once and knows no {min(given)}.")
    if fault.lasts and arming.times is None and arming.probability is None and arming.seconds is None:
        return arming.model_copy(update={"probability": 1.0})
    return arming
