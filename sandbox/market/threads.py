"""Work that blocks, each piece in a thread of its own."""

import threading
from collections.abc import Callable


class Threads:
    """Those that run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()

    def spawn(self, work: Callable[[], None]) -> None:
        """Have something done elsewhere."""
        thread = threading.Thread(target=work, daemon=True)
        with self._lock:
            self._running = {one for one in self._running if one.is_alive()} | {thread}
            thread.start()

    def join(self) -> None:
        """Return when all of it is done, and what it has had done meanwhile."""
        while running := [thread for thread in self._running if thread.is_alive()]:
            for thread in running:
                thread.join()
