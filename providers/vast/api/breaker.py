"""The breaker: stops all renting on an account if renting on could rent a whole fleet a second time.

Two events open it. First, many instances vanish from the market's list at once. A wrong list would make us believe that
a whole fleet is gone. Second, more rents happen in an hour than the operator allows.

Both count for the whole account, and other computers rent and give back on it, too. So the breaker checks vanished
instances stack by stack, because a stack that another computer gives back proves no wrong list. It counts the rents of
other computers from the account's own lists, by label and start.

The rules are pure. Their state lies in the account's directory, so all provider processes of all updates share it.
Times are monotonic seconds.
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
AT_ONCE_SECONDS = 60.0  # instances missing between two lists further apart did not vanish at once
FEWEST = 3  # at least this many, and at least half of the stack's listed instances, must be missing
SHARE = 0.5
STAYS_OPEN_SECONDS = 900.0
REMEMBERED_SECONDS = 2 * HOUR


class BreakerState(BaseModel):
    """The breaker's state for one account: its last list, instances we ended or that vanished, and times of rents."""

    listed_at: float | None = None
    listed: frozenset[int] = frozenset()
    ended: dict[int, float] = Field(default_factory=dict)
    opened_at: float | None = None
    vanished: frozenset[int] = frozenset()
    rents: tuple[float, ...] = ()
    ids: dict[int, float] = Field(default_factory=dict)  # rents for which the market returned an instance id
    stacks: dict[int, str] = Field(default_factory=dict)  # stack id by instance, for listed and vanished instances
    started: dict[int, float] = Field(default_factory=dict)  # start by instance with our label, from any computer

    def after_list(
        self,
        ids: Iterable[int],
        now: float,
        scale: float,
        stacks: Mapping[int, str] | None = None,
        started: Mapping[int, float] | None = None,
    ) -> "BreakerState":
        """Return the state after a list of the whole account, read at `now`.

        `scale` is the number of market seconds in one real second. `stacks` maps each instance to the stack id in its
        label, `started` to the start of its rental.
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
        """Return the missing instances of each stack that lacks so many at once that the list may be wrong."""
        found: frozenset[int] = frozenset()
        for stack in {self.stacks.get(one) for one in missing}:
            gone = frozenset(one for one in missing if self.stacks.get(one) == stack)
            all_of_it = [one for one in self.listed if self.stacks.get(one) == stack]
            if len(gone) >= max(FEWEST, SHARE * len(all_of_it)):
                found |= gone
        return found

    def missed(self, stack: str | None = None) -> frozenset[int]:
        """Return the vanished instances of a stack, or of all stacks if `stack` is None.

        An instance of an unknown stack counts for every stack.
        """
        if stack is None:
            return self.vanished
        return frozenset(one for one in self.vanished if self.stacks.get(one, stack) == stack)

    def after_destroy(self, instance_id: int, now: float) -> "BreakerState":
        """Return the state after we ended an instance. Its absence then does not open the breaker."""
        kept = {number: at for number, at in self.ended.items() if now - at < REMEMBERED_SECONDS}
        return self.model_copy(update={"ended": {**kept, instance_id: now}})

    def after_own_end(self, instance_id: int, now: float) -> "BreakerState":
        """Return the state after an instance ended itself and left word of it. Its absence does not open the breaker.

        If few enough remain unexplained, the breaker closes again: so many would not have opened it.
        """
        vanished = self.vanished - {instance_id}
        stack = self.stacks.get(instance_id)
        if len([one for one in vanished if self.stacks.get(one) == stack]) < FEWEST:
            vanished = frozenset(one for one in vanished if self.stacks.get(one) != stack)
        opened_at = self.opened_at if vanished else None
        return self.after_destroy(instance_id, now).model_copy(update={"vanished": vanished, "opened_at": opened_at})

    def after_rent(self, now: float, scale: float, instance_id: int | None = None) -> "BreakerState":
        """Return the state after a rent; `instance_id` is None if the market did not return it."""
        ids = {one: at for one, at in self.ids.items() if 0 <= now - at < HOUR / scale}
        ids |= {} if instance_id is None else {instance_id: now}
        return self.model_copy(update={"rents": (*self._recent(now, scale), now), "ids": ids})

    def refusal(self, now: float, scale: float, rents_per_hour: int, stack: str | None = None) -> str | None:
        """Return the reason why a stack (by its id) may rent nothing now, or None if it may rent."""
        missed = self.missed(stack)
        if missed and self.opened_at is not None and 0 <= now - self.opened_at <= STAYS_OPEN_SECONDS / scale:
            left = STAYS_OPEN_SECONDS / scale - (now - self.opened_at)
            named = ", ".join(map(str, sorted(missed)[:5]))
            return (
                f"{len(missed)} instances vanished from the market's list at once ({named}), and this computer "
                f"did not give them back. Renting stays stopped for {left / 60:.0f} min, or until the list shows them again. "
                "Look with `gpu-fleet sweep`; if they are really gone, `gpu-fleet sweep --close-breaker` lets renting go on"
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
        """Return the state after the operator closed the breaker: earlier rents no longer count."""
        forgotten = {"opened_at": None, "vanished": frozenset[int](), "rents": ()}
        return self.model_copy(update={**forgotten, "ids": {**self.ids, **self.started}})


class Breaker:
    """The breaker of one account. All processes share its state through `folder`; see `account_directory`."""

    def __init__(self, folder: Path, time_scale: float = 1.0, rents_per_hour: int = 200) -> None:
        self._file = folder / "breaker.json"
        self._scale = time_scale
        self._rents_per_hour = rents_per_hour

    def listed(self, rows: Iterable[Instance], now: float, unix: float) -> None:
        """Record a list of the whole account. `now` and `unix` are the same moment in monotonic and unix seconds."""
        known = list(rows)
        marks = {one.id: mark for one in known if (mark := label.parse(one.label))}
        # A foreign label gives the stack "". A row without a label counts for any stack, because the market sometimes
        # omits labels.
        stacks = {one.id: marks[one.id].stack_id if one.id in marks else "" for one in known if one.label}
        started = {one.id: now - (unix - one.start_date) for one in known if one.start_date and one.id in marks}
        ids = [one.id for one in known]
        with suppress(OSError):  # a full disk must not make the list fail
            self._change(lambda book: book.after_list(ids, now, self._scale, stacks, started))

    def destroyed(self, instance_id: int, now: float) -> None:
        """Record that we end an instance."""
        self._change(lambda book: book.after_destroy(instance_id, now))

    def ended_itself(self, instance_id: int, now: float) -> None:
        """Record that an instance ended itself and left word of it."""
        self._change(lambda book: book.after_own_end(instance_id, now))

    def rented(self, now: float, instance_id: int | None = None) -> None:
        """Record a rent, including one whose outcome is unknown."""
        self._change(lambda book: book.after_rent(now, self._scale, instance_id))

    def close(self) -> None:
        """Allow renting again, on the operator's command."""
        self._change(BreakerState.closed)

    def vanished(self, stack: str | None = None) -> bool:
        """Return True if listed instances of a stack are missing. Another list may show them again."""
        return bool(self._change(lambda book: book).missed(stack))

    def verify(self, now: float, stack: str | None = None) -> None:
        """Raise BreakerOpen if a stack may rent nothing now."""
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
        return BreakerState()  # the first use, or a process died while it wrote the file
