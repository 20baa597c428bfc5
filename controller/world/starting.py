"""Opens the store at a controller's start. In a cluster it waits for a PostgreSQL that starts beside it."""

from collections.abc import Callable

from bootstrap.clock import Clock
from controller.store.errors import StoreDown

IN_CLUSTER_SECONDS = 60.0  # a cluster makes the database's disk and pulls its image meanwhile
AGAIN_SECONDS = 1.0


def open_patiently(open_store: Callable[[], object], clock: Clock, patience: float) -> None:
    """Open the store, again and again for so many seconds if PostgreSQL does not answer. Raises StoreDown, StoreRefused."""
    deadline = clock.monotonic() + patience
    while True:
        try:
            open_store()
        except StoreDown:
            if clock.monotonic() >= deadline:
                raise
            clock.sleep(AGAIN_SECONDS)
        else:
            return
