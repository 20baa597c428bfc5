"""One controller process's memory of a fleet between its ticks. It dies with the process, or with its lead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.demand import HostLoad
from controller.leaving import Gate, Leaving
from controller.memory import Memory
from controller.ports import HostObservation, MarketStatus, SlotId, Task, unseen
from controller.reasons import Reason, Rule
from controller.slots import Slot, State

DEAD_SECONDS = 60.0  # for so long the market has named the failure, and the host is silent
DOUBT_SECONDS = 30.0
SERVES_OR_ENDS = frozenset({State.READY, State.LEAVING, State.ENDING})


@dataclass(eq=False)
class Known:
    """One fleet as its loop knows it. Moments are of the process's monotonic clock."""

    fleet: str
    dead_seconds: float = DEAD_SECONDS
    longest_seconds: float = 3600.0  # that one request may take, by the bounds that were applied last
    memory: Memory = field(default_factory=Memory)
    leaving: dict[int, tuple[int, Leaving]] = field(default_factory=dict)  # index -> (version, its progress)
    closed: dict[int, float] = field(default_factory=dict)  # since when a gate was seen closed
    silent: dict[int, float] = field(default_factory=dict)  # since when a host has not answered
    failed: dict[int, float] = field(default_factory=dict)  # since when the market has named a failure
    running: dict[int, Task] = field(default_factory=dict)
    bound: dict[int, dict[int, Slot]] = field(
        default_factory=dict
    )  # index -> {version: the row with another claim or mark}

    spared: Mapping[int, Reason] | None = None  # slots that leave and do not end now, and why; None: nothing is decided
    told_of: dict[int, int] = field(default_factory=dict)  # index -> the version of the row that was spared last

    def undecided(self) -> None:
        """End no slot until this turn has decided for the fleet."""
        self.spared = None

    def spares(self, index: int) -> Reason | None:
        """Return why a slot that leaves does not end now."""
        if self.spared is None:
            return Reason(Rule.UNKNOWN, "nothing was decided for its fleet in this turn")
        return self.spared.get(index)

    def place(self, index: int) -> SlotId:
        """Return the place of a slot of this fleet."""
        return SlotId(self.fleet, index)

    def forget(self) -> None:
        """Begin anew after another process has led."""
        self.leaving.clear()
        self.closed.clear()
        self.silent.clear()
        self.failed.clear()

    def follow(self, row: Slot) -> Slot:
        """Return a row as this process wrote it last, if all that it has written since is its claim or its mark."""
        later = self.bound.pop(row.index, {})
        while row.version in later:
            row = later[row.version]
        return row

    def note(
        self,
        rows: Sequence[Slot],
        sights: Mapping[SlotId, HostObservation],
        lives: Mapping[SlotId, MarketStatus],
        now: float,
    ) -> None:
        """Note since when each gate is closed, each host silent, and each instance a failure."""
        for row in rows:
            gate = sights.get(self.place(row.index), unseen(now)).look.gate
            counts = row.state in SERVES_OR_ENDS
            _since(self.closed, row.index, now, counts and gate is Gate.CLOSED)
            _since(self.silent, row.index, now, counts and gate is Gate.UNKNOWN)
            _since(self.failed, row.index, now, counts and lives.get(self.place(row.index)) is MarketStatus.DEAD)

    def is_silent(self, index: int, now: float) -> bool:
        """Return whether a host has been silent for so long that its known address may be wrong."""
        return now - self.silent.get(index, now) >= DOUBT_SECONDS

    def is_dead(self, index: int, now: float) -> bool:
        """Return whether a host has been silent for long, and the market has named its failure for as long."""
        return min(now - self.silent.get(index, now), now - self.failed.get(index, now)) >= self.dead_seconds

    def seen(self, rows: Sequence[Slot], sights: Mapping[SlotId, HostObservation], now: float) -> dict[int, HostLoad]:
        """Return the load that each host told, and for how long its gate has been seen closed."""
        loads = {row.index: sights[place].seen for row in rows if (place := self.place(row.index)) in sights}
        return {
            index: replace(seen, closed_seconds=now - self.closed[index]) if index in self.closed else seen
            for index, seen in loads.items()
        }


def _since(moments: dict[int, float], index: int, now: float, holds: bool) -> None:
    if holds:
        moments.setdefault(index, now)
    else:
        moments.pop(index, None)
