"""Virtual time: processes as generators, with trouble at their seams; see `world`."""

import heapq
import itertools
import random
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

WALL = 1_699_995_600.0  # 21:00 UTC
CHECK_SECONDS = 5.0

Steps = Generator[float, None, object]


class Broken(AssertionError):
    """An invariant is broken; the message holds the seed and the end of the history."""


@dataclass(eq=False)
class Process:
    """A running generator. `children` are the slot processes that it started."""

    name: str
    steps: Iterator[float]
    alive: bool = True
    stalled: float = 0.0  # seconds to sleep at its next seam
    result: object = None
    done: bool = False
    children: list["Process"] = field(default_factory=list)


@dataclass
class Timeline:
    """A clock that moves from event to event. What happens is told in `history`; everything random follows from the seed."""

    seed: int
    now: float = 0.0
    jumped: float = 0.0  # of the wall clock
    trouble: float = 0.0  # chance of trouble at a seam
    pushy: bool = False  # whether requests get in at many seams at which a host is handled
    history: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    events: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.order = itertools.count()
        self.controllers: list[Process] = []
        self.current: Process | None = None  # whose step is played now
        self.troubles: Callable[..., None] = lambda *_: None
        self.pushes: Callable[..., None] = lambda *_: None

    def wall(self) -> float:
        return WALL + self.now + self.jumped

    def at(self, seconds: float, what: Callable[[], object]) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self.order), what))

    def begin(self, name: str, steps: Iterator[float]) -> Process:
        """Start a controller."""
        process = self.start(name, steps)
        self.controllers.append(process)
        return process

    def kill_all(self) -> int:
        """End all controllers; return how many there were."""
        there = [one for one in self.controllers if one.alive]
        for one in there:
            self.kill(one)
        return len(there)

    def start(self, name: str, steps: Iterator[float], parent: Process | None = None) -> Process:
        process = Process(name, steps)
        if parent is not None:
            parent.children.append(process)
        self.at(0.0, lambda: self._resume(process))
        return process

    def _resume(self, process: Process) -> None:
        if not process.alive or process.done:
            return
        if process.stalled:
            seconds, process.stalled = process.stalled, 0.0
            self.at(seconds, lambda: self._resume(process))
            return
        self.current = process
        try:
            seconds = next(process.steps)
        except StopIteration as end:
            process.done, process.result = True, end.value
            return
        finally:
            self.current = None
        self.at(seconds, lambda: self._resume(process))

    def kill(self, process: Process) -> None:
        """End a process as `kill -9` does; each child dies with it or lives on."""
        process.alive = False
        for child in process.children:
            if not child.done and self.chance.random() < 0.5:
                child.alive = False

    def run(self, until: float, enough: Callable[[], bool] | None = None) -> bool:
        """Play until a moment, or until it is enough; say whether it was."""
        checked = self.now
        while self.events and self.events[0][0] <= until:
            self.now, _order, what = heapq.heappop(self.events)
            what()
            if enough is not None and self.now - checked >= CHECK_SECONDS:
                checked = self.now
                if enough():
                    return True
        self.now = max(self.now, until)
        return enough is not None and enough()

    def seam(self, process: Process, seconds: float = 0.0, at: object = None) -> Generator[float, None, None]:
        """Let others act here, and trouble strike."""
        if self.trouble and self.chance.random() < self.trouble:
            self.troubles(self, process, at)
        if self.pushy and self.trouble and at is not None and self.chance.random() < 0.2:
            self.pushes(at)
        yield seconds + self.chance.random() * 0.2

    def say(self, text: str) -> None:
        self.history.append(f"{self.now:8.1f} {text}")

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def wrong(self, what: str) -> None:
        raise Broken(f"seed {self.seed} at {self.now:.1f}: {what}\n" + "\n".join(self.history[-40:]))
