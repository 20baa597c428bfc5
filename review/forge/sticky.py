"""Keep one comment of a stack on a pull request: found by author and marker, created, updated or left alone.

It never touches another author's comment, even if that carries our marker: anybody may write that line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from review.comment.render import Comment

TRIES = 3


class ForgeError(Exception):
    """The forge took no comment. The message is a sentence for the operator, which says what to change."""


class OutcomeUnknown(ForgeError):
    """A comment was sent, and no usable answer came back, so that it may be there."""


@dataclass(frozen=True)
class Posted:
    """A comment on the pull request. `is_own`: the account of our token wrote it."""

    id: int
    is_own: bool
    body: str


class Forge(Protocol):
    """The comments of one pull request. Every method raises ForgeError."""

    def comments(self) -> Iterable[Posted]:
        """Return all comments, the oldest first."""

    def create(self, body: str) -> None:
        """Add a comment. Raises OutcomeUnknown if it may have arrived."""

    def update(self, id_: int, body: str) -> None:
        """Replace the text of a comment."""

    def delete(self, id_: int) -> None:
        """Remove a comment."""


class Did(StrEnum):
    """What became of the comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SILENT = "silent"


def publish(forge: Forge, comment: Comment) -> Did:
    """Post a review's comment, and return the step that it took. Raises ForgeError.

    If nothing changes, no comment is made, and an earlier one is replaced by a short text. Of several comments of our own,
    which two reviews at once can leave, the oldest stays.
    """
    for tries in range(TRIES):
        try:
            return _publish(forge, comment)
        except OutcomeUnknown:
            if tries + 1 == TRIES:
                raise
    raise AssertionError("unreachable")


def _publish(forge: Forge, comment: Comment) -> Did:
    own = [one for one in forge.comments() if one.is_own and _first_line(one.body) == comment.marker]
    body = comment.body or comment.over_old
    if not own:
        if not comment.body:
            return Did.SILENT
        forge.create(body)
        return Did.CREATED
    for one in own[1:]:
        forge.delete(one.id)
    if _same(own[0].body, body):
        return Did.UNCHANGED
    forge.update(own[0].id, body)
    return Did.UPDATED


def _first_line(body: str) -> str:
    return body.strip().partition("\n")[0].strip()


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.strip()
