"""Board of one update: which instances of a fleet are down for a change, and whether another may follow. Pure rules.

An update of the whole stack has one board, which all provider processes of that engine share; see `waves`. Labels name
the instances. Times are unix seconds. A holder is a text that tells one process from all others.
"""

from collections.abc import Callable

from pydantic import BaseModel, Field

SETTLING_SECONDS = 10.0  # after the last announcement: more instances of its fleet may still come
HANDOVER_SECONDS = 120.0  # from the end of a delete to the start of its create, which the engine requests at once
REASON_LETTERS = 300

Alive = Callable[[str], bool]


class RolloutStoppedError(Exception):
    """This update must not change the instance; the message is a sentence for the operator."""


class Down(BaseModel):
    """Instance that is being changed, replaced or created.

    `given_back`: the time at which it was given back, if its successor has not begun.
    """

    holder: str
    given_back: float | None = None


class FleetBoard(BaseModel):
    """One fleet. `most` may be down at once; `members` is its number of instances by config.

    `there`: the state has them. `coming`: the state does not have them, and their create has not begun.
    """

    most: int = 1
    members: int = 0
    announced: float = 0.0
    there: set[str] = Field(default_factory=set)
    coming: set[str] = Field(default_factory=set)
    down: dict[str, Down] = Field(default_factory=dict)


class Board(BaseModel):
    """All fleets of an update. `stopped` names the failure; after it no further change begins."""

    stopped: str = ""
    fleets: dict[str, FleetBoard] = Field(default_factory=dict)

    def announce(self, fleet: str, label: str, most: int, members: int, there: bool, now: float) -> None:
        """Record that this update has an instance in its config. The first call tells whether the state has it."""
        board = self.fleets.setdefault(fleet, FleetBoard())
        board.most, board.members = most, members
        if label in board.there | board.coming | board.down.keys():
            return
        board.announced = now
        (board.there if there else board.coming).add(label)

    def fleet_of(self, label: str) -> FleetBoard | None:
        """Return the fleet of an announced instance. An instance without an announcement is leaving, and never waits."""
        return next((one for one in self.fleets.values() if label in one.there | one.coming | one.down.keys()), None)

    def enter(self, label: str, holder: str, now: float, alive: Alive, waits: bool = True) -> list[str] | None:
        """Take an instance down for a change; return None if done, else the labels to wait for.

        An empty list: the update has not announced all its instances yet. Raises RolloutStoppedError.
        """
        board = self.fleet_of(label)
        if board is None:
            return None
        if waits:
            self._stop_if_lost(alive, now)
            if self.stopped:
                raise RolloutStoppedError(self.stopped)
            if (len(board.there | board.coming) < board.members or board.coming) and (
                0 <= now - board.announced < SETTLING_SECONDS
            ):
                return []
            others = sorted(board.down.keys() - {label})
            if len(others) >= board.most:
                return others
        board.there.add(label)
        board.coming.discard(label)
        board.down[label] = Down(holder=holder)
        return None

    def given_back(self, label: str, now: float) -> None:
        """Record that a machine is gone and its successor will come. It still counts as down."""
        board = self.fleet_of(label)
        if board is not None and label in board.down:
            board.down[label].given_back = now

    def leave(self, label: str) -> None:
        """Record that an instance serves."""
        board = self.fleet_of(label)
        if board is not None:
            board.down.pop(label, None)

    def stop(self, label: str, reason: str) -> None:
        """Stop all further changes; the first reason stays."""
        name = label.rpartition("/")[2]
        self.stopped = self.stopped or f"{name} failed ({_shortened(reason, name)})"

    def _stop_if_lost(self, alive: Alive, now: float) -> None:
        for label, down in [pair for board in self.fleets.values() for pair in board.down.items()]:
            if not alive(down.holder):
                self.stop(label, "the process that did it has ended")
            elif down.given_back is not None and now - down.given_back > HANDOVER_SECONDS:
                self.stop(label, "its machine was given back, and the engine did not ask for another one")


def _shortened(reason: str, name: str) -> str:
    line = reason.strip().splitlines()[0].removeprefix(f"{name}: ") if reason.strip() else "no reason is known"
    return line if len(line) <= REASON_LETTERS else f"{line[:REASON_LETTERS]}..."
