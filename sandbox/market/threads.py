"""Runs blocking work, each piece in its own thread."""

import threading
from collections.abc import Callable


class Threads:
    """The running threads. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()

    def spawn(self, work: Callable[[], None]) -> None:
        """Run a function in a new thread."""
        thread = threading.Thread(target=work, daemon=True)
        with self._lock:
            self._running = {one for one in self._running if one.is_alive()} | {thread}
            thread.start()

    def join(self) -> None:
        """Return when every thread has ended, including those that they started meanwhile."""
        while running := [thread for thread in self._running if thread.is_alive()]:
            for thread in running:
                thread.join()
