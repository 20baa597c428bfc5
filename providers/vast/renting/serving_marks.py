"""Marks: lasting records of which instance holds a label. The first instance that served holds it.

The caller hands in the place that keeps marks. Two creators of one instance cannot see each other's machines in time,
because reads of the market lag. A mark is written only if there is none, so it decides between them, and both obey it.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol


class MarkUnknown(Exception):
    """The mark cannot be determined now. No instance is destroyed because of that."""


@dataclass(frozen=True)
class ServingMark:
    """A mark: the instance that serves under a label, and the creators that have seen it serve.

    `by` is empty while the instance is being given back. `version` is the object's version, for the store that keeps
    it.
    """

    instance: int
    by: tuple[str, ...] = ()
    version: str = ""


class Marks(Protocol):
    """Storage of marks. Every method ends within seconds, and raises MarkUnknown only."""

    lasting: bool  # False: no storage exists, and the lowest id decides

    def read(self, label: str) -> ServingMark | None:
        """Return a label's mark, or None if it has none."""

    def write(self, label: str, held: ServingMark, seen: ServingMark | None) -> None:
        """Replace the mark that was seen, unless another creator has replaced it meanwhile.

        `read` tells which of them was first.
        """

    def clear(self, label: str, instance_id: int) -> None:
        """Remove the mark that names an instance that is gone."""


class NoMarks:
    """Marks without storage, for a store without keys."""

    lasting = False

    def read(self, _label: str) -> ServingMark | None:
        """Return None: there is no mark."""
        return None

    def write(self, _label: str, _held: ServingMark, _seen: ServingMark | None) -> None:
        """Do nothing: there is no storage."""

    def clear(self, _label: str, _instance_id: int) -> None:
        """Do nothing: there is no mark."""


def forget(marks: Marks, label: str, instance_id: int) -> None:
    """Remove the mark of an instance that is gone.

    If removal fails, the mark names an instance that no longer exists, and costs the next create one look.
    """
    with suppress(MarkUnknown):
        marks.clear(label, instance_id)
