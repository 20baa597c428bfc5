"""Connections to PostgreSQL: a pool for transactions, and single ones for locks and for listening. One class of trouble."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from controller.store.errors import StoreDown, StoreRefused

Connection = psycopg.Connection[tuple[Any, ...]]

POOL_SIZE = 8
WAIT_SECONDS = 3.0  # for a connection of the pool
DOWN_WAIT_SECONDS = 0.5  # for one of a pool that has just failed, so that callers do not queue up
AGAIN_SECONDS = 5.0  # the pool tries for so long to connect; the next caller has it try again
# A server that does not answer is noticed within some 15 s on both sides, so that a vanished controller's locks are free.
PARAMETERS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    "target_session_attrs": "read-write",
    "application_name": "gpu-fleet controller",
    "options": "-c statement_timeout=10s -c lock_timeout=8s -c idle_in_transaction_session_timeout=30s "
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2",
}
DOWN = (
    psycopg.OperationalError,  # no connection, a lost one, a server that shuts down, a full disk, a time-out
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # the server became a standby
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)


@contextlib.contextmanager
def trouble_as_store_down() -> Iterator[None]:
    """Raise StoreDown for everything that says that PostgreSQL does not answer or does not write."""
    try:
        yield
    except DOWN as error:
        raise StoreDown(f"PostgreSQL does not answer ({type(error).__name__})") from error


class Connections:
    """How one process reaches the database that the connection URI or string `dsn` names."""

    def __init__(self, dsn: str, size: int = POOL_SIZE) -> None:
        self._dsn = dsn
        self._failed_at = -AGAIN_SECONDS
        self._pool = ConnectionPool(
            dsn,
            min_size=1,
            max_size=size,
            open=False,
            kwargs=PARAMETERS,
            check=ConnectionPool.check_connection,
            timeout=WAIT_SECONDS,
            reconnect_timeout=AGAIN_SECONDS,
            name="store",
        )

    def open(self) -> None:
        """Begin to connect; returns at once. Raises StoreRefused for a DSN that is none, without a word of it."""
        try:
            conninfo_to_dict(self._dsn)
        except psycopg.Error:  # its text repeats parts of the DSN, and a password may be among them
            raise StoreRefused(
                "The DSN cannot be read. It is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %XX for odd characters"
            ) from None
        self._pool.open()

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run a transaction: committed at the end, rolled back by an exception. Raises StoreDown."""
        began = time.monotonic()
        wait = WAIT_SECONDS if began - self._failed_at > AGAIN_SECONDS else DOWN_WAIT_SECONDS
        with trouble_as_store_down(), contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(self._pool.connection(wait))
            except PoolTimeout:
                self._failed_at = time.monotonic()
                raise
            yield connection

    def single(self) -> Connection:
        """Return a new connection outside the pool, without transactions; the caller closes it. Raises StoreDown."""
        with trouble_as_store_down():
            return psycopg.connect(self._dsn, autocommit=True, **PARAMETERS)
