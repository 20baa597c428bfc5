"""What a process prints, as it comes."""

import subprocess
import threading
from typing import IO


class Lines:
    """Reads both pipes of a process until they end."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._text, self._ended = "", 0
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
        with self._arrived:
            self._ended += 1
            self._arrived.notify_all()

    def reaches(self, count: int, seconds: float = 200) -> bool:
        """Say whether that many lines are printed before both pipes end."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._text.count("\n") >= count or self._ended == 2, seconds)
            return self._text.count("\n") >= count

    @property
    def text(self) -> str:
        """Everything that was printed so far."""
        return self._text

    def shows(self, text: str, seconds: float = 200) -> bool:
        """Say whether `text` is printed before both pipes end."""
        with self._arrived:
            return (
                self._arrived.wait_for(lambda: text in self._text or self._ended == 2, seconds) and text in self._text
            )
