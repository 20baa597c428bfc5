"""The breaker: what stops all renting on an account, because going on could rent everything a second time.

Two things open it: instances that vanish from the market's list at once (a list that lies would have us believe that a
whole fleet is gone), and more rents in an hour than the operator allows. Both hold for the account: other computers rent
and give back on it, too. So what vanished is looked at stack by stack, because a stack that another computer gives back is
no lie; and what others rented is counted from the account's own lists, by label and start. The rules are pure; the book
that they keep lies in the account's meeting place, so that all provider processes of all updates share it. Moments are
monotonic seconds.
"""

import fcntl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from providers.vast.api import label
from providers.vast.api.errors import BreakerOpen
from providers.vast.api.instance import Instance

HOUR = 3600.0
AT_ONCE_SECONDS = 60.0  # two lists further apart say nothing of "at once"
FEWEST = 3  # this many, and half of what was listed, must be missing
SHARE = 0.5
STAYS_OPEN_SECONDS = 900.0
REMEMBERED_SECONDS = 2 * HOUR


class BreakerState(BaseModel):
    """What the breaker knows of an account: its last list, what we ended ourselves, what vanished, and when we rented."""

    listed_at: float | None = None
    listed: frozenset[int] = frozenset()
    ended: dict[int, float] = Field(default_factory=dict)
    opened_at: float | None = None
    vanished: frozenset[int] = frozenset()
    rents: tuple[float, ...] = ()
    ids: dict[int, float] = Field(default_factory=dict)  # those of these rents that the market answered
    stacks: dict[int, str] = Field(default_factory=dict)  # stack id by instance, of what was listed or vanished
    started: dict[int, float] = Field(default_factory=dict)  # what carries a label of gpu-fleet's, whoever rented it

    def after_list(
        self,
        ids: Iterable[int],
        now: float,
        scale: float,
        stacks: Mapping[int, str] | None = None,
        started: Mapping[int, float] | None = None,
    ) -> "BreakerState":
        """Take in a list of the whole account, read at `now`; `scale` is how many market seconds pass in one of ours.

        `stacks` by instance: the stack id of its label; `started`: since when it is rented.
        """
        seen, stacks = frozenset(ids), stacks or {}
        missing = self._many_of_a_stack(self.listed - seen - self.ended.keys())
        many = bool(missing)
        opened_at, vanished = self.opened_at, self.vanished - seen
        just_before = self.listed_at is not None and 0 <= now - self.listed_at <= AT_ONCE_SECONDS / scale
        if many and just_before:
            opened_at, vanished = now, vanished | missing
        if not vanished or opened_at is None or not 0 <= now - opened_at <= STAYS_OPEN_SECONDS / scale:
            opened_at, vanished = None, frozenset()
        known = {**self.stacks, **stacks}
        changed = {
            "listed_at": now,
            "listed": seen,
            "opened_at": opened_at,
            "vanished": vanished,
            "stacks": {one: known[one] for one in seen | vanished if one in known},
            "started": {
                one: at for one, at in {**self.started, **(started or {})}.items() if 0 <= now - at < HOUR / scale
            },
        }
        return self.model_copy(update=changed)

    def _many_of_a_stack(self, missing: frozenset[int]) -> frozenset[int]:
        """Return what is missing of those stacks that lack so much at once that the list may lie."""
        found: frozenset[int] = frozenset()
        for stack in {self.stacks.get(one) for one in missing}:
            gone = frozenset(one for one in missing if self.stacks.get(one) == stack)
            all_of_it = [one for one in self.listed if self.stacks.get(one) == stack]
            if len(gone) >= max(FEWEST, SHARE * len(all_of_it)):
                found |= gone
        return found

    def missed(self, stack: str | None = None) -> frozenset[int]:
        """Return what vanished of a stack; of all where none is named. What is of no stack that we know may be of any."""
        if stack is None:
            return self.vanished
        return frozenset(one for one in self.vanished if self.stacks.get(one, stack) == stack)

    def after_destroy(self, instance_id: int, now: float) -> "BreakerState":
        """Take in that we ended an instance, so that its absence is no surprise."""
        kept = {number: at for number, at in self.ended.items() if now - at < REMEMBERED_SECONDS}
        return self.model_copy(update={"ended": {**kept, instance_id: now}})

    def after_rent(self, now: float, scale: float, instance_id: int | None = None) -> "BreakerState":
        """Take in a rent; `instance_id` where the market said it."""
        ids = {one: at for one, at in self.ids.items() if 0 <= now - at < HOUR / scale}
        ids |= {} if instance_id is None else {instance_id: now}
        return self.model_copy(update={"rents": (*self._recent(now, scale), now), "ids": ids})

    def refusal(self, now: float, scale: float, rents_per_hour: int, stack: str | None = None) -> str | None:
        """Say why nothing may be rented now for a stack, by its id; None where it may."""
        missed = self.missed(stack)
        if missed and self.opened_at is not None and 0 <= now - self.opened_at <= STAYS_OPEN_SECONDS / scale:
            left = STAYS_OPEN_SECONDS / scale - (now - self.opened_at)
            named = ", ".join(map(str, sorted(missed)[:5]))
            return (
                f"{len(missed)} instances vanished from the market's list at once ({named}), and nobody here gave "
                f"them back. It stays so for {left / 60:.0f} min, or until the list shows them again. Look with "
                "`gpu-fleet sweep`; if they are really gone, `gpu-fleet sweep --close-breaker` lets renting go on"
            )
        ours, theirs = self._recent(now, scale), self._of_others(now, scale)
        recent = sorted([*ours, *theirs])
        if len(recent) >= rents_per_hour:
            wait = HOUR / scale - (now - recent[-rents_per_hour])
            elsewhere = f" ({len(theirs)} of them by other computers)" if theirs else ""
            return (
                f"{len(recent)} instances were rented within an hour{elsewhere}, and gpu-fleet:limits.rentsPerHour allows "
                f"{rents_per_hour}. If that is meant, raise it; if not, look with `gpu-fleet explain NAME` "
                f"why so many failed. The next one may be rented in {wait / 60:.0f} min"
            )
        return None

    def _recent(self, now: float, scale: float) -> tuple[float, ...]:
        return tuple(at for at in self.rents if 0 <= now - at < HOUR / scale)

    def _of_others(self, now: float, scale: float) -> tuple[float, ...]:
        return tuple(at for one, at in self.started.items() if one not in self.ids and 0 <= now - at < HOUR / scale)

    def closed(self) -> "BreakerState":
        """Take in that the operator has looked: what was rented so far counts no more."""
        forgotten = {"opened_at": None, "vanished": frozenset[int](), "rents": ()}
        return self.model_copy(update={**forgotten, "ids": {**self.ids, **self.started}})


class Breaker:
    """The book of one account, shared by all processes through `folder`; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0, rents_per_hour: int = 200) -> None:
        self._file = folder / "breaker.json"
        self._scale = time_scale
        self._rents_per_hour = rents_per_hour

    def listed(self, rows: Iterable[Instance], now: float, unix: float) -> None:
        """Note a list of the whole account, as it was read at `now`, which is `unix` in unix seconds."""
        known = list(rows)
        marks = {one.id: mark for one in known if (mark := label.parse(one.label))}
        # Nobody's stack is "". Without any label it may be of any: the market leaves labels out at times.
        stacks = {one.id: marks[one.id].stack_id if one.id in marks else "" for one in known if one.label}
        started = {one.id: now - (unix - one.start_date) for one in known if one.start_date and one.id in marks}
        ids = [one.id for one in known]
        with suppress(OSError):  # a full disk costs no list
            self._change(lambda book: book.after_list(ids, now, self._scale, stacks, started))

    def destroyed(self, instance_id: int, now: float) -> None:
        """Note that we end an instance."""
        self._change(lambda book: book.after_destroy(instance_id, now))

    def rented(self, now: float, instance_id: int | None = None) -> None:
        """Note a rent, or one that may have taken effect."""
        self._change(lambda book: book.after_rent(now, self._scale, instance_id))

    def close(self) -> None:
        """Let renting go on: the operator has looked."""
        self._change(BreakerState.closed)

    def vanished(self, stack: str | None = None) -> bool:
        """Say whether instances of a stack are missing that were listed, which another list may put right."""
        return bool(self._change(lambda book: book).missed(stack))

    def verify(self, now: float, stack: str | None = None) -> None:
        """Raise BreakerOpen where nothing may be rented for a stack."""
        if refused := self._change(lambda book: book).refusal(now, self._scale, self._rents_per_hour, stack):
            raise BreakerOpen(refused)

    def _change(self, rule: Callable[[BreakerState], BreakerState]) -> BreakerState:
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


def _book(text: str) -> BreakerState:
    try:
        return BreakerState.model_validate_json(text)
    except ValidationError:
        return BreakerState()  # a first use, or one that died while it wrote
