"""Plays each trouble of the market in each phase of an instance; a seed chooses its length, the boot and their number.

found = play("rebooting", "refresh", seed)     # found.destroyed == found.unknown == 0

The rules are the shipped ones of `providers/vast`; market, host and clock are in memory. No machine has a
fault here, so whatever is destroyed before the operator says so was healthy. After the trouble the operator goes on.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from config.limits import LimitsConfig
from providers.vast.settings import InstanceSettings
from tests.doubles.odd_lives import LIVES
from tests.doubles.outages import CLIENT_SECONDS, TROUBLES
from tests.doubles.schedule import Leak, World
from tests.doubles.scheduled_host import settings_of
from tests.doubles.scheduled_market import LIES, OFFERS, Clock, Market

SILENT = ("nothing is there", "the list lacks it", "the look by id lacks it")
AT_RENT = ("the rent's reply is lost",)
AT_END = ("the destroy's reply is lost", "an accepted destroy does nothing")
ONCE = (*AT_RENT, AT_END[0])
# What the emulator plays at a call.
PLAYED = {
    ("rent", AT_RENT[0]): "lost-create-reply",
    ("destroy", AT_END[0]): "lost-destroy-reply",
    ("destroy", AT_END[1]): "destroy-without-effect",
    ("list", SILENT[1]): "lying-empty-list",
    ("show", SILENT[2]): "missing-in-show",
}
# What condemns a machine that boots, and not one that answers.
DOWN: Mapping[str, Mapping[str, Any]] = {
    "offline, and it answers": {"actual_status": "offline"},
    "exited, and it answers": {"actual_status": "exited"},
}
WORDS = {**LIVES, **DOWN}
FAULTS = (*TROUBLES, *SILENT, *WORDS, *AT_RENT, *AT_END)
LOOKS = frozenset({"show", "list"})
CALLS = LOOKS | {"rent", "destroy", "search", "log"}
# Phase -> the operation in which the trouble begins, the calls that find it, and how many of them come before.
PHASES: Mapping[str, tuple[str, frozenset[str], int]] = {
    "adopt": ("up", frozenset({"list"}), 0),
    "search": ("up", frozenset({"search"}), 0),
    "rent": ("up", frozenset({"rent"}), 0),
    "wait": ("up", LOOKS, 1),
    "late in wait": ("up", LOOKS, 3),
    "log": ("up", frozenset({"log"}), 0),
    "login": ("up", frozenset({"connect"}), 0),
    "last look": ("up", frozenset({"probe"}), 0),
    "refresh": ("refresh", CALLS, 0),
    "late in refresh": ("refresh", CALLS, 1),
    "update": ("change", CALLS, 0),
    "give back": ("destroy", CALLS, 0),
    "confirm gone": ("destroy", LOOKS, 1),
}
# Seconds of trouble. An outage ends before a create must; what the market says wrongly of a machine for longer is believed,
# because a machine that is down is waited for a quarter of an hour.
SHORTEST, LONGEST, LONGEST_LIE = 20.0, 3000.0, 890.0
QUICKEST, SLOWEST = 20.0, 300.0  # seconds of a boot
OPERATIONS = ("up", "refresh", "change", "refresh", "destroy")


@dataclass(frozen=True)
class Found:
    """How many healthy machines were destroyed, and how many instances are rented that nobody knows; `struck`: the trouble
    was met; `history`: its lines."""

    destroyed: int
    unknown: int
    struck: bool
    history: str


class Life(World):
    """A world whose stack keeps the bounds that are the default."""

    def settings(self, name: str) -> InstanceSettings:
        return _settings(name, self.version)


@cache
def _settings(name: str, version: int) -> InstanceSettings:
    return settings_of(name, version).model_copy(update={"limits": LimitsConfig()})


class Troubled(Market):
    """A market with one trouble from one phase on."""

    def __init__(self, fault: str, phase: str, chance: random.Random) -> None:
        super().__init__(Clock())
        self.boot_seconds = chance.uniform(QUICKEST, SLOWEST)
        self.few, self.offers = chance.random() < 0.5, OFFERS[:9]
        self.fault, self.phase = fault, phase
        self.seconds = chance.uniform(SHORTEST, LONGEST_LIE if fault in SILENT or fault in WORDS else LONGEST)
        self.operation, self.met = "", 0
        self.until: float | None = None
        self.destroyed: set[int] = set()
        self.spoke = False  # at the call before

    @property
    def lasts(self) -> bool:
        return self.until is not None and self.clock.now < self.until

    def destroy(self, instance_id: int) -> None:
        if instance_id in self.rows and self.operation != "destroy":
            self.history.append(f"  instance {instance_id} is asked to end")
            self.destroyed.add(instance_id)
        super().destroy(instance_id)

    def passes(self) -> None:
        super().passes()
        words = WORDS[self.fault] if self.lasts and self.fault in WORDS else {}
        if words or self.spoke:
            for row in self.rows.values():
                row.says(words)
        self.spoke = bool(words)

    def _played(self, call: str) -> str | None:
        played = PLAYED.get((call, self.fault)) if self.lasts else None
        if played and self.fault in ONCE:
            self.until = self.clock.now
        return played or super()._played(call)

    def _begin(self, call: str) -> None:
        operation, calls, before = PHASES[self.phase]
        if self.until is None and self.operation == operation and call in calls:
            self.met += 1
            if self.met > before:
                self.until = self.clock.now + self.seconds
                self.lies = LIES if self.fault == SILENT[0] else 0
                self.history.append(f"  {self.fault} from {call} on, for {self.seconds:.0f} s")
        if self.lasts and self.fault in TROUBLES and call in CALLS:
            self.clock.sleep(CLIENT_SECONDS)
            raise TROUBLES[self.fault](call)
        super()._begin(call)


def fits(fault: str, phase: str) -> bool:
    """Say whether a trouble can be met in a phase: a reply that gets lost is that of one call."""
    if fault in AT_RENT:
        return phase == "rent"
    if fault in AT_END:
        return phase in ("give back", "confirm gone")
    return fault not in DOWN or PHASES[phase][0] != "up"


CASES: tuple[tuple[str, str], ...] = tuple((fault, phase) for fault in FAULTS for phase in PHASES if fits(fault, phase))


def play(fault: str, phase: str, seed: int) -> Found:
    """Play one life with one trouble in it, and return what became of the machines."""
    chance = random.Random(f"{fault} {phase} {seed}")
    random.seed(f"{seed}")
    world = Life(seed)
    market = Troubled(fault, phase, chance)
    world.clock = market.clock
    world.market = market
    names = ["chat-0", "chat-1"][: chance.randint(1, 2)]
    unknown = 0
    try:
        for operation in OPERATIONS:
            for name in names:
                _attempt(world, market, operation, name)
        market.clock.now = max(market.clock.now, market.until or 0.0) + 1
        for operation in ("refresh", "up", "destroy"):
            for name in names:
                _attempt(world, market, operation, name)
    except Leak as leak:
        market.history.append(str(leak))
        unknown = max(1, len(market.rows))
    unknown = unknown or len(market.rows)
    return Found(len(market.destroyed), unknown, market.until is not None, "\n".join(market.history))


def _attempt(world: World, market: Troubled, operation: str, name: str) -> None:
    market.operation = operation
    known = {number for number, _old, _outs in world.state.values()}
    world.attempt(operation, name)
    lost = known & market.rows.keys() - {number for number, _old, _outs in world.state.values()}
    if lost:
        raise Leak(f"instances {lost} are rented and in no state")
