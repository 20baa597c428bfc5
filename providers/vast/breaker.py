"""The breaker: what stops all renting on an account, because going on could rent everything a second time.

Two things open it: instances that vanish from the market's list at once (a list that lies would have us believe that a
whole fleet is gone), and more rents in an hour than the operator allows. The rules are pure; the book that they keep lies
in the account's meeting place, so that all provider processes of all updates share it. Moments are monotonic seconds.
"""

import fcntl
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from providers.vast.errors import BreakerOpen

HOUR = 3600.0
AT_ONCE_SECONDS = 60.0  # two lists further apart say nothing of "at once"
FEWEST = 3  # this many, and half of what was listed, must be missing
SHARE = 0.5
STAYS_OPEN_SECONDS = 900.0
REMEMBERED_SECONDS = 2 * HOUR


class Book(BaseModel):
    """What the breaker knows of an account: its last list, what we ended ourselves, what vanished, and when we rented."""

    listed_at: float | None = None
    listed: frozenset[int] = frozenset()
    ended: dict[int, float] = Field(default_factory=dict)
    opened_at: float | None = None
    vanished: frozenset[int] = frozenset()
    rents: tuple[float, ...] = ()

    def after_list(self, ids: Iterable[int], now: float, scale: float) -> "Book":
        """Take in a list of the whole account, read at `now`; `scale` is how many market seconds pass in one of ours."""
        seen = frozenset(ids)
        missing = self.listed - seen - self.ended.keys()
        many = len(missing) >= max(FEWEST, SHARE * len(self.listed))
        opened_at, vanished = self.opened_at, self.vanished - seen
        just_before = self.listed_at is not None and 0 <= now - self.listed_at <= AT_ONCE_SECONDS / scale
        if many and just_before:
            opened_at, vanished = now, vanished | missing
        if not vanished or opened_at is None or not 0 <= now - opened_at <= STAYS_OPEN_SECONDS / scale:
            opened_at, vanished = None, frozenset()
        return self.model_copy(update={"listed_at": now, "listed": seen, "opened_at": opened_at, "vanished": vanished})

    def after_destroy(self, instance_id: int, now: float) -> "Book":
        """Take in that we ended an instance, so that its absence is no surprise."""
        kept = {number: at for number, at in self.ended.items() if now - at < REMEMBERED_SECONDS}
        return self.model_copy(update={"ended": {**kept, instance_id: now}})

    def after_rent(self, now: float, scale: float) -> "Book":
        """Take in a rent."""
        return self.model_copy(update={"rents": (*self._recent(now, scale), now)})

    def refusal(self, now: float, scale: float, rents_per_hour: int) -> str | None:
        """Say why nothing may be rented now; None where it may."""
        if self.opened_at is not None and 0 <= now - self.opened_at <= STAYS_OPEN_SECONDS / scale:
            left = STAYS_OPEN_SECONDS / scale - (now - self.opened_at)
            named = ", ".join(map(str, sorted(self.vanished)[:5]))
            return (
                f"{len(self.vanished)} instances vanished from the market's list at once ({named}), and nobody here gave "
                f"them back. It stays so for {left / 60:.0f} min, or until the list shows them again. Look with "
                "`python -m providers.vast sweep`; if they are really gone, `… sweep --close-breaker` lets renting go on"
            )
        recent = self._recent(now, scale)
        if len(recent) >= rents_per_hour:
            wait = HOUR / scale - (now - recent[-rents_per_hour])
            return (
                f"{len(recent)} instances were rented within an hour, and gpu-fleet:limits.rentsPerHour allows "
                f"{rents_per_hour}. If that is meant, raise it; if not, look with `python -m providers.vast explain NAME` "
                f"why so many failed. The next one may be rented in {wait / 60:.0f} min"
            )
        return None

    def _recent(self, now: float, scale: float) -> tuple[float, ...]:
        return tuple(at for at in self.rents if 0 <= now - at < HOUR / scale)


class Breaker:
    """The book of one account, shared by all processes through `folder`; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0, rents_per_hour: int = 200) -> None:
        self._file = folder / "breaker.json"
        self._scale = time_scale
        self._rents_per_hour = rents_per_hour

    def listed(self, ids: Iterable[int], now: float) -> None:
        """Note a list of the whole account, as it was read at `now`."""
        self._change(lambda book: book.after_list(ids, now, self._scale))

    def destroyed(self, instance_id: int, now: float) -> None:
        """Note that we end an instance."""
        self._change(lambda book: book.after_destroy(instance_id, now))

    def rented(self, now: float) -> None:
        """Note a rent, or one that may have taken effect."""
        self._change(lambda book: book.after_rent(now, self._scale))

    def close(self) -> None:
        """Let renting go on: the operator has looked."""
        self._change(lambda book: book.model_copy(update={"opened_at": None, "vanished": frozenset(), "rents": ()}))

    def vanished(self) -> bool:
        """Say whether instances are missing that were listed, which another list may put right."""
        return bool(self._change(lambda book: book).vanished)

    def verify(self, now: float) -> None:
        """Raise BreakerOpen where nothing may be rented."""
        if refused := self._change(lambda book: book).refusal(now, self._scale, self._rents_per_hour):
            raise BreakerOpen(refused)

    def _change(self, rule: Callable[[Book], Book]) -> Book:
        with self._file.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            book = _book(file.read())
            changed = rule(book)
            if changed is not book:
                file.seek(0)
                file.truncate()
                file.write(changed.model_dump_json())
        return changed


def _book(text: str) -> Book:
    try:
        return Book.model_validate_json(text)
    except ValidationError:
        return Book()  # a first use, or one that died while it wrote
