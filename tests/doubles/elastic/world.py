"""A market, hosts, clients, a table of slots and locks in memory, on a virtual clock that plays processes as generators.

A process yields the seconds that pass until it goes on. Each yield is a seam: there it may be killed, stalled, or find that
others have acted. Invariants that hold at each act are checked where the act happens; a broken one raises `Broken`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap.scripts import self_destruct_rules as own_end
from controller.leaving import Gate, GateLook
from controller.ports import SlotId
from controller.slots import Slot, State
from tests.doubles.elastic.account import Account
from tests.doubles.elastic.fleet import PlayedFleet
from tests.doubles.elastic.host import Agent, Instance
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.watch import Watch

CUT_SECONDS = 30.0  # after which an `up` that restarts a host cuts its requests


@dataclass
class World(Account):
    """One account and one stack with its elastic fleets."""

    fleets: dict[str, PlayedFleet] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)

    def add(self, fleet: PlayedFleet) -> None:
        """Have a fleet, with its load noted and its invariants watched."""
        self.fleets[fleet.name] = fleet
        self.watches[fleet.name] = Watch(fleet)
        fleet.sample()

    @property
    def instances(self) -> list[Instance]:
        return [one for fleet in self.fleets.values() for one in fleet.instances]

    def at_slot(self, process: Process, index: int) -> Instance | None:
        """Return the instance at which a process stands: of its fleet, or of any if it is of none."""
        found = [one for one in self.instances if one.index == index]
        own = [one for one in found if process.name == str(one.place)]
        return next(iter(own or found), None)

    def rows(self) -> Mapping[SlotId, Slot]:
        return {SlotId(name, row.index): row for name, fleet in self.fleets.items() for row in fleet.rows.values()}

    # -- hosts

    def fleet(self, instance: Instance) -> PlayedFleet:
        return self.fleets[instance.place.fleet]

    def open(self, instance: Instance) -> None:
        """Open a gate; a host that ends itself closes it again."""
        if instance.serves and not instance.ended and not instance.ending:
            instance.gate = Gate.OPEN
            instance.left = instance.closed_itself = instance.changing = False
            self.fleet(instance).admit_held(instance)

    def close(self, instance: Instance) -> None:
        if self.answers(instance) and instance.gate is Gate.OPEN:
            instance.gate, instance.left = Gate.CLOSED, True

    def look(self, instance: Instance | None, moment: float) -> GateLook:
        """Ask a host itself."""
        if instance is None or not self.answers(instance):
            return GateLook(moment, Gate.UNKNOWN)
        if instance.restarts:
            return GateLook(moment, Gate.CLOSED, None, str(instance.logged))
        return GateLook(moment, instance.gate, instance.shown(self.now), str(instance.logged))

    def watch_over(self, instance: Instance) -> None:
        """Start what ends a host from inside."""
        if self.lease_seconds is not None:
            if instance.agent is not None:
                self.kill(instance.agent)
            agent = Agent(self, instance, own_end.Limits(lease=self.lease_seconds), self.open, self.end)
            instance.agent = self.start(f"agent of {instance.place}", agent.life())

    # -- the market

    def find(self, place: SlotId) -> Instance | None:
        return self.fleets[place.fleet].find(place.slot)

    def end(self, instance: Instance, by: str) -> None:
        """End an instance. `by`: "scaling", "its host", or somebody who may cut requests."""
        if instance.ended is not None:
            return
        if by in ("scaling", "an edit", "its host") and instance.active and not instance.dead:
            self.wrong(f"{instance.place} is destroyed by {by} with {len(instance.active)} requests under way")
        row = self.fleet(instance).rows.get(instance.index, Slot(instance.index))
        if by == "scaling" and row.state not in (State.RENTING, State.ENDING):
            self.wrong(f"{instance.place} is destroyed, and its row is {row.state.value}")
        instance.active.clear()
        instance.gate = Gate.CLOSED
        instance.ended = self.now
        self.fleet(instance).instances.remove(instance)
