"""Random histories of a fleet, seeded and replayable: operations, faults at random moments, and an operator who goes on.

    found = play(seed)          # raises Leak where something is rented that nobody knows, or known that is not rented,
                                # where a creator rents twice, or where a machine is replaced that is not down for long

The rules under test are the real ones (`providers.vast.lifecycle` and all below it, `sweep`); market, host and clock are in
memory. The engine is played as reference engines behave: a create that raised leaves nothing in state, one that never
ended leaves a pending operation, and what is not in state is never read, updated or deleted.
"""

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bootstrap.errors import BootstrapError
from providers.engine_watch import EngineGone
from providers.ledger.ledger import NoLedger
from providers.rentals.teardown import Teardown, end_rentals
from providers.store.client import Keys
from providers.vast import down_check, lifecycle
from providers.vast.api import errors
from providers.vast.lifecycle import OperationContext
from providers.vast.limits import Limits
from providers.vast.pulumi_state import StackState
from providers.vast.renting.ownership import sort_out
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Marks, NoMarks
from providers.vast.renting.sweep import instances_to_give_back, own_ids
from providers.vast.settings import InstanceSettings
from tests.doubles.marks import FakeMarks
from tests.doubles.scheduled_host import Host, settings_of
from tests.doubles.scheduled_market import Clock, Killed, Market

NAMES = ("chat-0", "chat-1", "chat-2")
STEPS = ("up", "up", "refresh", "destroy", "change", "elsewhere", "replace_rentals")
LONG = 48 * 3600.0


class Leak(AssertionError):
    """The market's records show something that must never be; the message holds the seed and the history."""


@dataclass
class World:
    """One account, one stack, one operator."""

    seed: int
    clock: Clock = field(default_factory=Clock)
    market: Market = field(init=False)
    marks: Marks = field(init=False)
    state: dict[str, tuple[int, InstanceSettings, dict[str, Any]]] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    serving: dict[int, InstanceSettings] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        self.market = Market(self.clock)
        # The mark of one that was killed outlives it, so half of the histories have such a place.
        self.marks = FakeMarks() if self.seed % 4 < 2 else NoMarks()

    def context(self) -> OperationContext:
        def hosting(settings: InstanceSettings, *_more: object) -> Any:
            return Host(self.market, self.serving, settings)

        report_progress: Callable[[str, str], None] = lambda _phase, _text: None  # noqa: E731 -- a callable, as OperationContext wants it
        return OperationContext(self.market, self.clock, Keys("", ""), report_progress, NoLedger(), hosting, self.marks)

    def settings(self, name: str) -> InstanceSettings:
        return settings_of(name, self.version)

    def up(self, name: str) -> None:
        """Create what is not in state, update what is."""
        wanted = self.settings(name)
        if name in self.state:
            number, old, outs = self.state[name]
            if down_check.judge(number, old, wanted, outs, self.context()).replace:
                self._check_replaced(number, wanted)
                self.destroy(name)
                self._create(name, wanted)
            else:
                outs = lifecycle.update(number, old, wanted, outs, self.context())
                self.state[name] = (number, wanted, outs)
        else:
            self._create(name, wanted)

    def _check_replaced(self, number: int, wanted: InstanceSettings) -> None:
        """Nothing takes the place of a machine that serves, or that was not down for as long as one is waited for."""
        if number not in self.market.rows:
            return
        if self.market.rows[number].runs:
            raise Leak(f"instance {number} serves, and another is to take its place\n{self.history()}")
        down = self.clock.now - self.market.bad_since.get(number, self.clock.now)
        if down < wanted.to_limits().down_seconds:
            raise Leak(f"instance {number} is down for {down:.0f} s, and another takes its place\n{self.history()}")

    def _create(self, name: str, wanted: InstanceSettings) -> None:
        before, was_pending = set(self.market.rows), name in self.pending
        self.pending.add(name)
        try:
            outs = lifecycle.create(wanted, self.context())
        except Exception as error:
            if self.clock.gone_at is None:
                # An engine that is there hears of it; what an earlier create left open stays open.
                self.pending -= set() if was_pending else {name}
                self._check_message_names_leftovers(wanted.label, before, str(error))
            raise
        if self.clock.gone_at is not None and self.clock.now >= self.clock.gone_at:
            return  # it served, and nobody heard of it
        self.pending.discard(name)
        self.state[name] = (int(outs["instanceId"]), wanted, outs)
        under = [number for number, row in self.market.rows.items() if row["label"] == wanted.label]
        if overlooked := self.market.overlooked(wanted.label, int(outs["instanceId"])):
            raise Leak(f"create of {name} ended beside {overlooked}, which does not run yet\n{self.history()}")
        if len(under) > 1 and not self.market.strangers:
            raise Leak(f"create of {name} ended with instances {under}\n{self.history()}")

    def refresh(self, name: str) -> None:
        if name not in self.state:
            return
        number, old, outs = self.state[name]
        seen = lifecycle.read(number, old, outs, self.context())
        if seen is not None:
            self.state[name] = (number, old, {**outs, **seen})
            return
        if number in self.market.rows:
            raise Leak(f"instance {number} was dropped from state while it is rented\n{self.history()}")
        del self.state[name]

    def destroy(self, name: str) -> None:
        if name not in self.state:
            return
        number, old, outs = self.state[name]
        lifecycle.delete(number, old, outs, self.context())
        if number in self.market.rows:
            raise Leak(f"delete of instance {number} succeeded while it is rented\n{self.history()}")
        del self.state[name]

    def elsewhere(self, name: str) -> None:
        """Refresh and destroy with a valid key of another account, which somebody has put into the config."""
        self.market.elsewhere = True
        try:
            for step in (self.refresh, self.destroy):
                with suppress(errors.VastError):
                    step(name)
        finally:
            self.market.elsewhere = False

    def change(self, name: str) -> None:
        """Edit the config, and have it put into force."""
        self.version += 1
        if name in self.state:
            self.up(name)

    def pass_time(self) -> None:
        """Let so much time pass that hosts which nobody attends to have ended themselves."""
        self.clock.now += LONG
        for number in [row for row in self.market.rows if row not in self.market.online]:
            self.market.emulator.destroy(number)

    def end(self, names: Iterable[str]) -> None:
        """`pulumi destroy` of the stack: every instance that state knows, then whatever else carries its id."""
        for name in names:
            self.destroy(name)
        if not self.state:
            self._end_rentals()
            self.pending.clear()

    def replace_rentals(self, _name: str) -> None:
        """Replace the resource, and not the instances: its end comes while they serve."""
        begun = len(self.market.calls)
        with suppress(errors.VastError):
            self._end_rentals()
        ended = {argument for call, argument in self.market.calls[begun:] if call == "destroy"}
        for name, (number, _old, _outs) in self.state.items():
            if number in ended:
                raise Leak(
                    f"the end of the rentals took instance {number}, which state knows as {name}\n{self.history()}"
                )

    def _end_rentals(self) -> None:
        end_rentals(
            Renter(self.market, self.clock, Limits()), Teardown(["abc"]), self._states, lambda _phase, _text: None
        )

    def _states(self) -> list[StackState]:
        known = {name: frozenset({number}) for name, (number, _old, _outs) in self.state.items()}
        return [StackState("dev", "abc", known, frozenset(self.pending))]

    def sweep(self) -> None:
        """`sweep --destroy --interrupted`."""
        states, rows = self._states(), self.market.instances()
        for ending in instances_to_give_back(sort_out(rows, states, own_ids(states)), interrupted=True):
            self.market.destroy(ending.id)

    def attempt(self, step: str, name: str | Iterable[str]) -> None:
        """Do one step as the engine would; whatever ends it ends it, and the next process is a new one."""
        self.market.history.append(f"{step} {name}")
        self.market.own.clear()
        try:
            getattr(self, step)(name)
        except (errors.VastError, BootstrapError, EngineGone, Killed, KeyboardInterrupt) as error:
            self.market.history.append(f"  -> {type(error).__name__}: {str(error)[:120]}")
        self.clock.dead = False
        self.clock.gone_at = None
        if self.market.second_rents:
            raise Leak(f"{self.market.second_rents[0]}\n{self.history()}")

    def _check_message_names_leftovers(self, label: str, before: set[int], message: str) -> None:
        """A create that raised leaves nothing rented, or names it: by its id or by its label."""
        for number, row in self.market.rows.items():
            if number in before:
                continue
            if row["label"] == label and not self.market.strangers and not {str(number), label} & set(words(message)):
                raise Leak(f"create left instance {number} and said: {message}\n{self.history()}")

    def history(self) -> str:
        return "\n".join(
            [f"seed {self.seed}:", *self.market.history, f"state {self.state.keys()}, rented {self.market.rows}"]
        )


def words(message: str) -> list[str]:
    return message.replace(",", " ").replace(":", " ").replace(".", " ").split()


def play(seed: int) -> World:
    """Play one history to its end. Raises Leak."""
    chance = random.Random(seed)
    world = World(seed)
    names = NAMES[: chance.randint(1, len(NAMES))]
    plan = [(chance.choice(STEPS), chance.choice(names)) for _step in range(chance.randint(1, 6))]
    # About twenty calls an operation: faults strike anywhere in the plan, and some of them in its recovery.
    span = 20 * len(plan)
    world.market.chance = chance
    world.market.few = seed % 2 == 0
    world.market.strikes = {chance.randint(1, span) for _fault in range(chance.randint(1, 6))}
    for step, name in [("up", name) for name in names] + plan:
        world.attempt(step, name)
    world.market.strikes.clear()
    world.market.hush(world.clock.now + LONG)
    world.market.never_boots.clear()
    (_goes_on if chance.random() < 0.5 else _gives_up)(world, names)
    return world


def _goes_on(world: World, names: tuple[str, ...]) -> None:
    """The operator runs `pulumi up --refresh`, and in the end destroys."""
    for step in ("refresh", "up"):
        for name in names:
            world.attempt(step, name)
    rented = {number: row["label"].rpartition("/")[2] for number, row in world.market.rows.items()}
    known = {number: name for name, (number, _old, _outs) in world.state.items()}
    if rented != known or set(known.values()) != set(names):
        raise Leak(f"rented {rented}, known {known}, wanted {names}\n{world.history()}")
    for number, name in known.items():
        if world.serving.get(number) != world.settings(name):
            raise Leak(f"{name} does not serve what is wanted\n{world.history()}")
    for name in names:
        world.attempt("destroy", name)
    if world.market.rows:
        raise Leak(f"after destroy: {world.market.rows}\n{world.history()}")


def _gives_up(world: World, names: tuple[str, ...]) -> None:
    """The operator runs `pulumi destroy`, and nothing is left; or walks away, and what is left ends itself or is what a
    sweep finds.
    """
    if world.seed % 2:
        world.attempt("end", names)
        if world.market.rows:
            raise Leak(f"after destroy: {world.market.rows}\n{world.history()}")
        return
    for name in names:
        world.attempt("destroy", name)
    world.pass_time()
    for number, row in world.market.rows.items():
        if row["label"].rpartition("/")[2] not in world.pending:
            raise Leak(
                f"instance {number} outlived everybody, and state does not even know of its create\n{world.history()}"
            )
    world.sweep()
    if world.market.rows:
        raise Leak(f"after sweep: {world.market.rows}\n{world.history()}")
