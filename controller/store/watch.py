"""Learn at once that another process wrote, by LISTEN."""

from collections.abc import Callable

from controller.store.connections import Connection, trouble_as_store_down

TABLES = frozenset({"slots", "claims", "events"})


class Watch:
    """Tells which tables changed. A new watcher, or one that lost the connection, hears of all of them once."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> frozenset[str]:
        """Wait until a table changes, so long at most; return the names of those that did. Raises StoreDown."""
        if self._connection is None:
            connection = self._connect()
            with trouble_as_store_down():
                connection.execute("listen gpu_fleet")
            self._connection = connection
            return TABLES
        try:
            with trouble_as_store_down():
                notices = self._connection.notifies(timeout=seconds, stop_after=1)
                return frozenset(one.payload for one in notices)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop watching."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
