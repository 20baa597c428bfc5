"""In which order programs start: each after the one that it names, again if it ended. The clock is an argument."""

from collections.abc import Callable, Iterable

from sandbox.node.programs import Program, answers

AGAIN_SECONDS = 1.0


class Order:
    """Says which program may start now. It starts and ends none itself."""

    def __init__(self, programs: Iterable[Program], ready: Callable[[str], bool] = answers) -> None:
        """`ready`: whether a program's condition holds."""
        self._all, self._answers = tuple(programs), ready
        self._ready = {""}
        self._due = {program.key: 0.0 for program in self._all}  # when to start what does not run

    @property
    def complete(self) -> bool:
        """Whether every program is ready."""
        return len(self._ready) > len(self._all)

    def next(self, now: float) -> list[Program]:
        """Return the programs to start now. Each is named once, until it has ended."""
        found = [each for each in self._all if each.after in self._ready and self._due.get(each.key, now + 1) <= now]
        for program in found:
            del self._due[program.key]
        return found

    def look(self, running: Iterable[Program]) -> None:
        """Note which of the running programs are ready."""
        for program in running:
            if program.key not in self._ready and not program.once and self._answers(program.ready):
                self._ready.add(program.key)

    def ended(self, program: Program, now: float, *, well: bool) -> None:
        """Note that a program ended: one that runs once has done its work, each other starts again."""
        if program.once and well:
            self._ready.add(program.key)
        else:
            self._due[program.key] = now + AGAIN_SECONDS
