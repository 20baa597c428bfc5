"""Store the book of reservations: an object in the stack's bucket, or a file of this computer.

Renters of one computer change it one after the other, under the lock of a file. Between computers, a write succeeds only if
the object is still the version that was read. A store without conditions cannot do that. Then each computer keeps a book of
its own, and `is_shared` says so.
"""

import fcntl
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from bootstrap.clock import Clock
from providers.budget.errors import SpendUnknown
from providers.budget.reservations import Book
from providers.store.errors import StoreError
from providers.store.shared_object import SharedObject

PREFIX = "budget/"
TRIES = 40
PAUSE_SECONDS = 0.2  # at most before the next try, after another computer was faster
Lock = Callable[[], AbstractContextManager[None]]


class Reservations(Protocol):
    """Storage of the book. Methods raise SpendUnknown if the book cannot be read or written now."""

    def is_shared(self) -> bool:
        """Say whether the book holds for all computers of the stack."""

    def read(self) -> Book:
        """Return the book as it is now."""

    def change(self, rule: Callable[[Book], Book]) -> Book:
        """Replace the book by the result of `rule`, and return that. `rule` may be called again with a newer book."""


class FileBook:
    """A book in a file of this computer; satisfies `Reservations`. `file` lies in a folder of this user alone."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, file_lock(file.with_suffix(".lock"))

    def is_shared(self) -> bool:
        """Return False: another computer has another file."""
        return False

    def read(self) -> Book:
        """Return the book."""
        try:
            return parse(self._file.read_bytes(), str(self._file))
        except FileNotFoundError:
            return Book()
        except OSError as error:
            raise SpendUnknown(_unreadable(str(self._file), str(error))) from error

    def change(self, rule: Callable[[Book], Book]) -> Book:
        """Replace the book under the lock."""
        try:
            with self._lock():
                book = self.read()
                changed = rule(book)
                if changed != book:
                    part = self._file.with_suffix(f".{os.getpid()}.part")
                    part.write_bytes(text_of(changed))
                    part.replace(self._file)
                return changed
        except OSError as error:
            raise SpendUnknown(_unreadable(str(self._file), str(error))) from error


class BucketBook:
    """A book in the bucket; satisfies `Reservations`. `lock` keeps the renters of this computer out of each other's way.

    `between` draws the pause after a lost write, in seconds between two bounds.
    """

    def __init__(
        self,
        shared: SharedObject,
        name: str,
        clock: Clock,
        lock: Lock,
        between: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._shared, self._name, self._clock, self._lock, self._between = shared, name, clock, lock, between

    def is_shared(self) -> bool:
        """Return True: every computer changes the same object."""
        return True

    def read(self) -> Book:
        """Return the book."""
        return self._read()[0]

    def change(self, rule: Callable[[Book], Book]) -> Book:
        """Replace the book unless another computer was faster; then again with its book."""
        with self._lock():
            for _try in range(TRIES):
                book, version = self._read()
                changed = rule(book)
                if changed == book or self._write(changed, version):
                    return changed
                self._clock.sleep(self._between(0, PAUSE_SECONDS))
        raise SpendUnknown(_unreadable(self._name, f"other renters were faster {TRIES} times"))

    def _read(self) -> tuple[Book, str]:
        try:
            content, version = self._shared.read()
        except StoreError as error:
            raise SpendUnknown(_unreadable(self._name, str(error))) from error
        return (Book() if content is None else parse(content, self._name)), version

    def _write(self, book: Book, version: str) -> bool:
        try:
            return self._shared.write(text_of(book), version)
        except StoreError as error:
            raise SpendUnknown(_unreadable(self._name, str(error))) from error


class ChosenBook:
    """The bucket's book if the store obeys conditions, else this computer's. Asks the store at the first use."""

    def __init__(self, shared: SharedObject, name: str, clock: Clock, file: Path) -> None:
        self._shared, self._name, self._clock, self._file = shared, name, clock, file
        self._chosen: BucketBook | FileBook | None = None

    def is_shared(self) -> bool:
        """Say whether the store obeys conditions."""
        return self._book().is_shared()

    def read(self) -> Book:
        """Return the book."""
        return self._book().read()

    def change(self, rule: Callable[[Book], Book]) -> Book:
        """Replace the book."""
        return self._book().change(rule)

    def _book(self) -> BucketBook | FileBook:
        if self._chosen is None:
            try:
                obeys = self._shared.obeys_conditions()
            except StoreError as error:
                raise SpendUnknown(_unreadable(self._name, str(error))) from error
            lock = file_lock(self._file.with_suffix(".lock"))
            self._chosen = BucketBook(self._shared, self._name, self._clock, lock) if obeys else FileBook(self._file)
        return self._chosen


def file_lock(file: Path) -> Lock:
    """Return a lock that all processes and threads of this computer take one after the other. Raises OSError."""

    @contextmanager
    def locked() -> Iterator[None]:
        with file.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    return locked


def text_of(book: Book) -> bytes:
    """Return the book as JSON."""
    return f"{book.model_dump_json(exclude_none=True)}\n".encode()


def parse(content: bytes, where: str) -> Book:
    """Read a book. Raises SpendUnknown for anything else, because it may hold reservations that count."""
    try:
        return Book.model_validate_json(content)
    except ValidationError:
        raise SpendUnknown(
            f"the book of reservations {where} does not parse, so the promises are unknown, and nothing is rented. If no "
            "`pulumi up` of this stack and no controller runs, remove it: the next rent begins a new one."
        ) from None


def _unreadable(where: str, why: str) -> str:
    return (
        f"the book of reservations {where} cannot be read or written, so the promises are unknown, and nothing is "
        f"rented: {why}"
    )
