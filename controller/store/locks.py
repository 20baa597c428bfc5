"""Advisory locks of PostgreSQL on connections of their own. A lost connection is a lost lock, and `held` tells of it."""

import contextlib
from collections.abc import Callable
from types import TracebackType

import psycopg

from controller.store.connections import DOWN, Connection, trouble_as_store_down

HELD = """
select exists (
    select from pg_locks
    where locktype = 'advisory' and granted and pid = pg_backend_pid() and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and (classid::bigint << 32 | objid::bigint) = %s)
"""


class SessionLock:
    """One lock, which its holder gives up by `release`, by its end, or with its connection."""

    def __init__(self, connect: Callable[[], Connection], key: int) -> None:
        self._connect, self._key = connect, key
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Take the lock without waiting; False if another one has it. Raises StoreDown."""
        connection = self._connect()
        taken = False
        try:
            with trouble_as_store_down():
                row = connection.execute("select pg_try_advisory_lock(%s)", (self._key,)).fetchone()
            taken = bool(row and row[0])
        finally:
            if not taken:
                connection.close()
        if taken:
            self._connection = connection
        return taken

    def held(self) -> bool:
        """Ask the server whether the lock is still held. False for good once the connection was lost."""
        if self._connection is None:
            return False
        try:
            row = self._connection.execute(HELD, (self._key,)).fetchone()
        except DOWN:
            row = None
        if row and row[0]:
            return True
        self.release()
        return False

    def release(self) -> None:
        """Give the lock up. Releasing twice is harmless."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):  # at once; the server notices a closed connection a moment later
                connection.execute("select pg_advisory_unlock(%s)", (self._key,))
            with contextlib.suppress(psycopg.Error):
                connection.close()


class HeldLock:
    """What `slot_lock` yields: true if the lock was taken. `still` asks the server again, for one who held it for long."""

    def __init__(self, lock: SessionLock, taken: bool) -> None:
        self._lock, self._taken = lock, taken

    def __bool__(self) -> bool:
        return self._taken

    def still(self) -> bool:
        """Return whether the lock is still held."""
        return self._taken and self._lock.held()


class SlotLock:
    """A context manager over one lock. Raises StoreDown on entering."""

    def __init__(self, lock: SessionLock) -> None:
        self._lock = lock

    def __enter__(self) -> HeldLock:
        return HeldLock(self._lock, self._lock.take())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()
