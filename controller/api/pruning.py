"""Keep the database small: forget events, calls and claims that were over a month ago."""

import contextlib
import threading
from collections.abc import Callable

from controller.store.errors import StoreDown
from controller.store.store import Store

KEPT_SECONDS = 30 * 86_400.0
EVERY_SECONDS = 3600.0


class Pruner:
    """One thread that prunes the store at the start and each hour. Several controllers may do so at once."""

    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store, self._wall = store, wall
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pruner", daemon=True)

    def start(self) -> None:
        """Begin to prune."""
        self._thread.start()

    def stop(self) -> None:
        """End before the next hour."""
        self._stopped.set()

    def prune(self) -> None:
        """Prune once. If PostgreSQL does not answer, the next hour does it."""
        with contextlib.suppress(StoreDown):
            self._store.prune(self._wall() - KEPT_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.prune()
            self._stopped.wait(EVERY_SECONDS)
