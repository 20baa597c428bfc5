"""The one lasting word about which instance holds a label: the first that served. Where it is kept is handed in.

Two creators of one instance cannot see each other's machines in time: reads of the market lag. A mark that is written only
where there is none decides between them, and both go by it.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol


class MarkUnknown(Exception):
    """Nobody can say now what the mark is; nothing is destroyed because of that."""


@dataclass(frozen=True)
class Held:
    """A mark: which instance serves under a label, and which creators have seen it serve; none while it is given back.

    `version` is the object's, for its keeper.
    """

    instance: int
    by: tuple[str, ...] = ()
    version: str = ""


class Marks(Protocol):
    """Where marks are kept. Every method ends within seconds, and raises MarkUnknown only."""

    lasting: bool  # False: there is no such place, and the lowest id decides

    def read(self, label: str) -> Held | None:
        """Return the mark of a label; None where it has none."""

    def write(self, label: str, held: Held, seen: Held | None) -> None:
        """Replace what was seen, unless somebody else has replaced it meanwhile; `read` says who was first."""

    def clear(self, label: str, instance_id: int) -> None:
        """Take away the mark that names an instance, which is gone."""


class NoMarks:
    """No lasting place: without keys of a store."""

    lasting = False

    def read(self, _label: str) -> Held | None:
        """There is none."""
        return None

    def write(self, _label: str, _held: Held, _seen: Held | None) -> None:
        """Forget it."""

    def clear(self, _label: str, _instance_id: int) -> None:
        """There is none."""


def forget(marks: Marks, label: str, instance_id: int) -> None:
    """Take away the mark of an instance that is gone; one that stays names nobody, and costs the next create a look."""
    with suppress(MarkUnknown):
        marks.clear(label, instance_id)
