"""Who is about to rent which offer, over all processes of this computer that use one account.

Instances that rent at the same time would all try the cheapest offer, and all but one of them in vain, a turn of the rent
threshold each. So whoever is about to rent says so, and the others leave that offer alone: each takes the cheapest that is
left. One that rents alone takes the cheapest of all. Other computers are met at the market, which refuses the second.
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

LONGEST_SECONDS = 1200.0  # market seconds: a hundred wait for 450 s until it is their turn to rent
LISTED_SECONDS = 60.0  # market seconds for which others may still hold a list with an offer that is gone

Choose = Callable[[Mapping[int, int]], Offer]  # of offer ids that others claim, with their machines


class Unclaimed:
    """A market on which nobody claims anything: every caller has the first choice."""

    def claim(self, _label: str, choose: Choose) -> AbstractContextManager[Offer]:
        """Give the offer that is chosen."""
        return nullcontext(choose({}))


class _Claim(BaseModel):
    offer: int
    machine: int
    until: float  # unix seconds
    process: int


class _Book(BaseModel):
    claims: dict[str, _Claim] = {}


class Claims:
    """The claims of one account, by label. `folder` is private; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._file = folder / "claims.json"
        self._scale = time_scale

    @contextmanager
    def take(self, label: str, choose: Choose, clock: Clock) -> Iterator[Offer]:
        """Give the offer that `choose` names, claimed while the block lasts; nobody else chooses meanwhile.

        An offer that was rented, or was gone, stays claimed until no list holds it any more. What cannot be written down is
        no reason not to rent.
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
            with suppress(OSError), self._change(clock) as book:  # the block may have rented: its id must get out
                if book.claims.pop(label, None) and listed:
                    until = clock.time() + LISTED_SECONDS / self._scale
                    book.claims[f"{label} {offer.id}"] = mine.model_copy(update={"until": until})

    @contextmanager
    def _change(self, clock: Clock) -> Iterator[_Book]:
        """Give the claims that hold, and write down what becomes of them."""
        try:
            file = self._file.open("ab+", buffering=0)  # a buffer would be written once more, and fail, at the close
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
        return _Book()  # a first use, or one that died while it wrote
    holding = {key: one for key, one in book.claims.items() if one.until > now and (" " in key or _lives(one.process))}
    return _Book(claims=holding)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
