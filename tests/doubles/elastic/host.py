"""One rented machine of a played world, and its host, which ends itself by the shipped rules."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from bootstrap.scripts import self_destruct_rules as own_end
from controller.leaving import Gate
from controller.ports import SlotId
from tests.doubles.elastic.timeline import Process, Timeline

UNANSWERED = 0.3  # of the hosts' requests to be destroyed


@dataclass(eq=False)
class Instance:
    """A machine, its gate, and the requests behind it."""

    number: int
    place: SlotId
    price: float
    made_of: str  # the digest of the config
    born: float
    ready_at: float
    gate: Gate = Gate.CLOSED
    left: bool = False  # a controller closed the gate
    closed_itself: bool = False
    booted: bool = False
    restarts: bool = False  # vLLM, for an edit
    changing: bool = False  # it is down for an edit
    dead: bool = False
    silent_until: float = 0.0
    untold_until: float = 0.0  # monitoring has its old sample alone
    stuck: bool = False  # its gauge never comes down to 0 while its gate is closed
    active: dict[int, float] = field(default_factory=dict)  # request -> when the gauge shows it
    admitted: int = 0
    logged: int = 0
    used_at: float = 0.0
    renewed: float = 0.0  # its lease
    attended: int = 0  # how often somebody began to work on it
    ending: str = ""
    agent: Process | None = None  # what ends it from inside
    ended: float | None = None

    @property
    def index(self) -> int:
        return self.place.slot

    @property
    def serves(self) -> bool:
        """Whether its vLLM answers."""
        return self.booted and not self.dead and not self.restarts

    @property
    def may_open(self) -> bool:
        """Whether the gate is open, or a controller may open it."""
        return self.gate is Gate.OPEN or (self.left and self.serves and not self.ending)

    def shown(self, now: float) -> int:
        """Return the requests that the gauge shows."""
        seen = sum(at <= now for at in self.active.values())
        if self.stuck and self.gate is Gate.CLOSED:
            self.used_at = now
            return max(seen, 1)
        return seen


@dataclass(eq=False)
class Agent:
    """What ends a host from inside. Its looks and acts are played, and its rules are the shipped ones."""

    world: Timeline
    instance: Instance
    limits: own_end.Limits
    opens: Callable[[Instance], None]
    ends: Callable[[Instance, str], None]

    def life(self) -> Generator[float, None, None]:
        one = self.instance
        if one.closed_itself and not one.ending:
            self.reopen()  # the one before was killed
        state = own_end.begin(self.look(), one.ending)
        while one.ended is None:
            state, seconds = own_end.turn(state, self, self.limits)
            yield seconds

    def look(self) -> own_end.Look:
        one, now = self.instance, self.world.now
        is_open = one.gate is Gate.OPEN
        busy = one.shown(now) > 0
        return own_end.Look(
            now, now - one.born, is_open, one.serves, busy, one.logged, one.renewed, one.attended, one.left
        )

    def close(self, attended: object) -> None:
        if self.instance.attended == attended and self.instance.gate is Gate.OPEN:
            self.instance.closed_itself = True
            self.instance.gate = Gate.CLOSED

    def reopen(self) -> None:
        if self.instance.closed_itself:
            self.opens(self.instance)

    def end(self, why: str, idle: float, lived: float) -> None:
        world, one = self.world, self.instance
        if not one.ending and world.now - one.renewed < (self.limits.lease or 0.0):
            world.wrong(f"{one.place} ends itself {world.now - one.renewed:.0f} s after its lease was renewed")
        one.ending = why
        if world.chance.random() < UNANSWERED:
            return
        world.count("own end")
        world.say(f"{one.place} ends itself: {why}")
        self.ends(one, "its host")
