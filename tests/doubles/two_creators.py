"""Two creators of one instance on one account, in virtual time, by a seed: faults, reads that lag, ends that take a while.

found = meet(seed)          # raises AssertionError, with the history, where one destroyed what the other holds
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bootstrap.errors import EngineRefused, HostUnreachable
from bootstrap.services import Progress
from providers.engine_watch import EngineGone
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.rows import Listing
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Marks, NoMarks
from providers.vast.search.requirements import Requirements
from tests.doubles.market import FakeMarket, offer
from tests.doubles.marks import FakeMarks
from tests.doubles.virtual_time import VirtualTime

LABEL = "gpu-fleet/abc/chat-0"
REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=9.0, disk_gb=20, weights_gb=1)
ORDER = InstanceRequest("chat-0", LABEL, REQUIREMENTS, "image", "true", 8443)
# How a creator's work on a host ends, besides well; `killed` is a process that does nothing any more.
ENDS: tuple[Callable[[], BaseException], ...] = (
    lambda: HostUnreachable("port 22 is closed"),
    lambda: EngineRefused("unrecognized arguments"),
    KeyboardInterrupt,
    lambda: EngineGone("gone"),
    lambda: Killed("-9"),
)


class Killed(BaseException):
    """`kill -9` of a creator."""


class Reads(FakeMarket):
    """A market whose reads lag: it shows an instance a while after its rent, and a while after its end."""

    def __init__(self, time: Any, chance: random.Random) -> None:
        super().__init__(time, [offer(number) for number in range(1, 30)], boot_seconds=chance.uniform(20, 300))
        self._chance = chance
        self.ending: dict[int, float] = {}  # accepted destroys -> the moment of the end
        self.destroyed: list[int] = []

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        self.clock.sleep(self._chance.uniform(0, 5))
        number = super().rent(offer_id, body)
        self.emulator.get(number).hidden_until = self.emulator.clock.now() + self._chance.choice((0, 0, 20, 85))
        if self._chance.random() < 0.15:
            self.clock.sleep(self._chance.uniform(0, 30))
            raise errors.OutcomeUnknown("rent", "the connection broke")
        return number

    def destroy(self, instance_id: int) -> None:
        self.clock.sleep(self._chance.uniform(0, 3))
        if not self.is_rented(instance_id):
            return
        shows = any(one.id == instance_id for one in self.emulator.visible())
        # What it does not know yet it does not end.
        with self.playing("destroy-without-effect" if shows else "destroy-404-but-alive"):
            super().destroy(instance_id)
        if shows:
            self.ending[instance_id] = self.clock.now + self._chance.choice((0, 0, 40))
            self.destroyed.append(instance_id)

    def show(self, instance_id: int) -> Instance | None:
        self.clock.sleep(0.5)
        return super().show(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        self.clock.sleep(0.5)
        return super().instances(label, age_seconds)

    def is_rented(self, number: int) -> bool:
        """Say whether an instance is rented, and nobody has ended it."""
        return number in self.rows and number not in self.ending

    def passes(self) -> None:
        for number in [number for number, end in self.ending.items() if end <= self.clock.now and number in self.rows]:
            self.emulator.destroy(number)
        super().passes()


@dataclass
class CreatorClock:
    """One creator's clock in the common time. Once `killed`, nothing of it runs; once its engine is `gone`, it gives back."""

    all: VirtualTime
    killed: bool = False
    gone: bool = False
    gone_at: float = float("inf")
    _patient: bool = False

    def time(self) -> float:
        return self.all.time()

    def monotonic(self) -> float:
        return self.all.monotonic()

    def sleep(self, seconds: float) -> None:
        self.all.sleep(seconds)
        self.confirm()

    def confirm(self) -> None:
        if self.killed:
            raise Killed
        if (self.gone or self.all.now >= self.gone_at) and not self._patient:
            raise EngineGone("gone")

    @contextlib.contextmanager
    def without_engine(self) -> Iterator[None]:
        before, self._patient = self._patient, True
        try:
            yield
        finally:
            self._patient = before


@dataclass
class Creator:
    """One create. `end` is how its first work on a host ends, None for well; `late`: its engine goes after the last look,
    else at a moment.
    """

    world: "Meeting"
    begins: float
    works: float
    end: BaseException | None
    late: bool
    gone_at: float
    clock: CreatorClock = field(init=False)
    returned: int | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.clock = CreatorClock(self.world.time, gone_at=self.gone_at)

    def run(self) -> None:
        self.world.time.sleep(self.begins)
        try:
            served = bring_online(
                Renter(self.world.market, self.clock, Limits()),
                ORDER,
                self,
                self.world.progress_of(self),
                None,
                self.world.marks,
            )
        except BaseException as error:  # noqa: BLE001 -- whatever ends it ends it
            self.error = error
        else:
            self.returned = served.instance.id

    def serve(self, instance: Instance, host_key: str, _report_progress: Progress, _deadline: float) -> Served:
        self.clock.sleep(self.works)
        if not self.world.market.is_rented(instance.id):
            raise HostUnreachable("the machine is gone")
        end, self.end = self.end, None
        if end is not None:
            self.clock.killed = isinstance(end, Killed)
            self.clock.gone = isinstance(end, EngineGone)
            raise end
        self.clock.gone = self.late  # noticed by `confirm`, or by the waits before it
        return Served(instance, "https://203.0.113.7:48443", host_key, 0.0, {}, 0.1)


class Meeting:
    """Two creators, what they rented, and who returned what. `calm`: no faults; `silence`: how often the mark is unknown."""

    def __init__(self, seed: int, marks: bool = True, calm: bool = False, silence: float = 0.0) -> None:
        chance = random.Random(seed)
        self.seed, self.history, self.time = seed, list[str](), VirtualTime()
        self.market = Reads(self.time, chance)
        self.marks: Marks = FakeMarks(self._pause, lambda: chance.random() < silence) if marks else NoMarks()
        self.creators = [self._creator(chance, calm) for _each in range(2)]
        self.time.run(*(creator.run for creator in self.creators))
        self.time.sleep(3600)
        self.market.passes()

    def _pause(self, _step: str) -> None:
        self.time.sleep(0.2)

    def _creator(self, chance: random.Random, calm: bool) -> Creator:
        end = None if calm or chance.random() < 0.5 else chance.choice(ENDS)()
        late = not calm and chance.random() < 0.1
        begins = chance.uniform(0, chance.choice((1, 100, 900)))
        gone_at = begins + chance.uniform(0, 600) if not calm and chance.random() < 0.2 else float("inf")
        return Creator(self, begins, chance.uniform(10, 400), end, late, gone_at)

    def progress_of(self, creator: Creator) -> Progress:
        def report_progress(phase: str, text: str) -> None:
            self.history.append(f"{self.time.now:7.1f} creator {self.creators.index(creator)}  {phase}  {text}")

        return report_progress

    @property
    def rented(self) -> set[int]:
        return set(self.market.rows)

    @property
    def returned(self) -> set[int]:
        return {one.returned for one in self.creators if one.returned is not None}

    @property
    def full_history(self) -> str:
        ends = [f"returned {one.returned}" if one.returned else repr(one.error) for one in self.creators]
        return "\n".join([f"seed {self.seed}", *self.history, *ends, f"rented {self.rented}"])


def meet(seed: int, marks: bool = True, calm: bool = False, silence: float = 0.0) -> Meeting:
    """Let two creators meet. Raises AssertionError where what one returned is gone, or something is rented and unknown."""
    found = Meeting(seed, marks, calm, silence)
    assert found.returned <= found.rented, f"what a creator returned was destroyed\n{found.full_history}"
    assert len(found.returned) <= 1, f"the creators hold two machines\n{found.full_history}"
    named = {
        number
        for one in found.creators
        for number in found.rented
        if isinstance(one.error, errors.VastError) and str(number) in str(one.error)
    }
    orphans = found.rented - found.returned - named
    assert not orphans or any(one.clock.killed for one in found.creators), (
        f"nobody knows {orphans}\n{found.full_history}"
    )
    if found.returned and not any(one.clock.killed for one in found.creators):
        assert found.rented == found.returned, f"more is rented than held\n{found.full_history}"
    return found
