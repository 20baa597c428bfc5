"""Show an update: each phase of each instance once, one line an instance that is rewritten on a terminal."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cli.tables import since
from providers.engine_events import Event, Note, Progress, Step, Summary, Trouble

INSTANCE = "pulumi-python:dynamic/vast:Instance"
INSTANCE_NAME = re.compile(r".+-\d+")  # other parts of the stack, such as `store`, are done with their line
DIGITS = re.compile(r"\d+(?:\.\d+)?")
ENDED = {
    "create": "online",
    "create-replacement": "replaced",
    "update": "updated",
    "delete": "given back",
}  # by operation
COUNTED = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "same": "unchanged"}
PHASE_WIDTH, TIME_WIDTH = len("fetch weights"), len("59 min")
ONCE = frozenset({"fit", "image", "effect", "change"})  # phases of a plan: they are said above the lines of instances


@dataclass
class Line:
    """Where one instance is. `moment` is when its phase began."""

    phase: str = ""
    text: str = ""
    moment: float = 0.0
    ended: bool = False


@dataclass
class UpdateView:
    """Takes the engine's events and prints them. On a terminal the instances' lines are rewritten; elsewhere, as in a log
    or a pipe, a line is printed when a phase begins.
    """

    console: Console
    clock: Callable[[], float] = time.monotonic
    lines: dict[str, Line] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    summary: Summary | None = None
    _printed: set[tuple[str, str]] = field(default_factory=set)
    _live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, get_renderable=self._rows, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def take(self, event: Event | None) -> None:
        """Show an event."""
        match event:
            case Progress():
                self._progress(event)
            case Step() if event.type == INSTANCE:
                self._end(event)
            case Trouble():
                self._trouble(event)
            case Summary():
                self.summary = event
            case Note(text):
                self._once("", text)

    def describe_summary(self) -> str:
        """Return how many resources were created, updated, ... and in what time; empty if the engine did not say."""
        if self.summary is None:
            return ""
        counts = [(self.summary.changes.get(word, 0), participle) for word, participle in COUNTED.items()]
        listed = ", ".join(f"{count} {participle}" for count, participle in counts if count)
        return f"{listed or 'nothing to do'}, in {since(self.summary.seconds)}"

    def _at(self, name: str) -> Line:
        return self.lines.setdefault(name, Line(moment=self.clock()))

    def _progress(self, event: Progress) -> None:
        if event.phase in ONCE or not INSTANCE_NAME.fullmatch(event.name):
            self._once(event.name, f"{event.name}  {event.phase}  {event.text}")
            return
        line = self._at(event.name)
        if line.phase != event.phase:
            line.moment = self.clock()
        line.phase, line.text = event.phase, event.text
        if not self._live:
            self._once(event.name, f"{event.name}  {event.phase}  {event.text}")

    def _end(self, step: Step) -> None:
        word = f"{step.operation} failed" if step.failed else ENDED.get(step.operation)
        if word is None:
            return
        line = self._at(step.name)
        line.phase, line.text, line.ended = word, str(step.outputs.get("endpoint") or ""), True
        if not self._live:
            self._once(step.name, f"{step.name}  {word}  {line.text}".rstrip())

    def _trouble(self, event: Trouble) -> None:
        if event in self.troubles:
            return
        self.troubles.append(event)
        if not event.is_error:
            self._print(f"warning: {event.name + ': ' if event.name else ''}{event.text}")

    def _once(self, name: str, text: str) -> None:
        """Print a line unless it was printed before; numbers that count on make no new line."""
        key = (name, DIGITS.sub("0", text))
        if key not in self._printed:
            self._printed.add(key)
            self._print(text)

    def _print(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def _rows(self) -> Group:
        """Return the instances' lines as they are now, cut to the terminal's width."""
        width = max(map(len, self.lines), default=0)
        rows = []
        for name, line in sorted(self.lines.items()):
            passed = "" if line.ended else since(self.clock() - line.moment)
            row = Text(f"{name:{width}}  ", no_wrap=True, overflow="ellipsis")
            row.append(f"{line.phase:{PHASE_WIDTH}}", "bold" if line.ended else "")
            rows.append(row.append(f"  {passed:>{TIME_WIDTH}}  {line.text}"))
        return Group(*rows)
