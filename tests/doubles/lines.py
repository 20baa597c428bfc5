"""What a process prints, as it comes."""

import subprocess
import threading
from typing import IO


class Lines:
    """Reads both pipes of a process until they end."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._text = ""
        self._arrived = threading.Condition()
        for pipe in (child.stdout, child.stderr):
            assert pipe is not None
            threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Return once `text` was printed; fails with everything that was."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: text in self._text, seconds), self._text

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            with self._arrived:
                self._text += line
                self._arrived.notify_all()
