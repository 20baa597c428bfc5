"""Claims on offers, shared by all processes of this computer that use one account.

Without claims, instances that rent at the same time would all try the cheapest offer. All but one would fail, and each
failure would cost one turn of the rent limit. So each process claims its offer before it rents, and the others skip it.
Each takes the cheapest unclaimed offer; a single renter takes the cheapest of all.

Claims do not reach other computers. If two computers rent the same offer, the market refuses the second.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from bootstrap.clock import Clock
from providers.vast.api.errors import OfferGone
from providers.vast.api.offer import Offer

LONGEST_SECONDS = 1200.0  # market seconds; a hundred instances wait up to 450 s for their turn to rent
LISTED_SECONDS = 60.0  # market seconds in which other processes may still hold a list with a gone offer

Choose = Callable[[Mapping[int, int]], Offer]  # gets the offer ids that others claim, mapped to their machines


class Unclaimed:
    """A market without claims: every caller has the first choice."""

    def claim(self, _label: str, choose: Choose) -> AbstractContextManager[Offer]:
        """Return a context with the chosen offer."""
        return nullcontext(choose({}))


class _Claim(BaseModel):
    offer: int
    machine: int
    until: float  # unix seconds
    process: int


class _Book(BaseModel):
    claims: dict[str, _Claim] = {}


class Claims:
    """The claims of one account, by label. `folder` is private; see `account_directory`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._file = folder / "claims.json"
        self._scale = time_scale

    @contextmanager
    def take(self, label: str, choose: Choose, clock: Clock) -> Iterator[Offer]:
        """Yield the offer that `choose` returns, and claim it while the block lasts. Processes choose one at a time.

        A rented or gone offer stays claimed until no list can hold it any more. If a claim cannot be written, the rent
        goes on.
        """
        with self._change(clock) as book:
            others = {key: one for key, one in book.claims.items() if key != label}
            offer = choose({one.offer: one.machine for one in others.values()})
            mine = _Claim(
                offer=offer.id,
                machine=offer.machine_id,
                until=clock.time() + LONGEST_SECONDS / self._scale,
                process=os.getpid(),
            )
            book.claims = {**others, label: mine}
        listed = False
        try:
            yield offer
            listed = True
        except OfferGone:
            listed = True
            raise
        finally:
            with suppress(OSError), self._change(clock) as book:  # a rent in the block must still return its id
                if book.claims.pop(label, None) and listed:
                    until = clock.time() + LISTED_SECONDS / self._scale
                    book.claims[f"{label} {offer.id}"] = mine.model_copy(update={"until": until})

    @contextmanager
    def _change(self, clock: Clock) -> Iterator[_Book]:
        """Yield the claims that hold now, and save the caller's changes to them."""
        try:
            file = self._file.open("ab+", buffering=0)  # close would flush a buffer again, and fail again
        except OSError:
            yield _Book()
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            book = _book(file.read(), clock.time())
            yield book
            with suppress(OSError):
                file.seek(0)
                file.truncate()
                file.write(book.model_dump_json().encode())


def _book(text: bytes, now: float) -> _Book:
    try:
        book = _Book.model_validate_json(text)
    except ValidationError:
        return _Book()  # the first use, or a process died while it wrote the file
    holding = {
        key: one for key, one in book.claims.items() if one.until > now and (" " in key or is_alive(one.process))
    }
    return _Book(claims=holding)


def is_alive(process: int) -> bool:
    """Return whether a process of this computer lives, or may live."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
