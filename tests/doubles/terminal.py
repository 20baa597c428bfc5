"""A shell into which documented commands are typed as they stand, one after the other; what one exports, the next has."""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.doubles.documented import known_as


class Terminal:
    """`typed`: the documented commands so far, as `documented.HOW` calls them; `printed`: all that the commands printed."""

    def __init__(self, folder: Path, environ: Mapping[str, str], kept: Path) -> None:
        self._folder, self._environ, self._kept = folder, dict(environ), kept
        self.typed: set[str] = set()
        self.printed = ""

    def type(self, command: str, text: str = "", put: Mapping[str, str] | None = None, ends: int = 0) -> str:
        """Type a documented command; return what it printed.

        `text` goes to its input. `put`: what an operator puts in place of words of the page. `ends`: its exit status.
        """
        self.typed.add(known_as(command))
        line = command
        for word, mine in (put or {}).items():
            assert word in line, f"{word} is not in: {line}"
            line = line.replace(word, mine)
        return self.run(line, text, ends)

    def run(self, line: str, text: str = "", ends: int = 0) -> str:
        """Run what no page says."""
        kept = shlex.quote(str(self._kept))
        script = f"[ ! -e {kept} ] || . {kept}\n{line}\nstatus=$?\nexport -p > {kept}\nexit $status"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env={} if self._kept.exists() else self._environ,
            input=text,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        output = f"$ {line}\n{done.stdout}{done.stderr}"
        self.printed += output
        assert done.returncode == ends, self.printed
        assert "Traceback" not in output, output
        return done.stdout + done.stderr
