"""What must hold whenever a controller decides and acts, checked against the world's own truth and not by the rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.elastic import Elastic
from controller.leaving import Gate
from controller.scaling import Decision
from controller.slots import CAPACITY, Slot, SlotEvent, State, cool_until
from tests.doubles.elastic.fleet import PlayedFleet
from tests.doubles.elastic.host import Instance

TRIED_MOST = 3  # failing slots beside each other
FRESH_SECONDS = 60.0  # load that is longer ago starts nothing
SEEN_SECONDS = 45.0  # a decision rests on no older look
SETTLED_SECONDS = 100.0  # so long after a change every controller has seen it
LATE_SECONDS = 15.0  # a tick and its seams: what ends on a slot that leaves is seen so late


@dataclass(eq=False)
class Truth:
    """The world at the moment at which a controller looked, and how many slots it has started since."""

    load: int
    claimed: int
    capacity: int
    ready: int
    unasked_seconds: float
    at: float
    elastic: Elastic | None
    back: int = 0  # slots that leave and may come back
    starting: int = 0

    @property
    def bounds(self) -> Elastic:
        assert self.elastic is not None
        return self.elastic


@dataclass(eq=False)
class Watch:
    """The invariants of decisions about one fleet."""

    fleet: PlayedFleet
    admitted: dict[int, int] = field(default_factory=dict)  # index -> admissions when it was seen last
    chosen: dict[int, int] = field(
        default_factory=dict
    )  # index -> admissions at the look by which it was chosen as idle
    since: dict[int, float] = field(default_factory=dict)  # index -> when its state or claim changed
    marked: dict[int, float] = field(default_factory=dict)  # index -> when its row was marked for an edit

    def wrong(self, what: str) -> None:
        self.fleet.world.wrong(f"{self.fleet.name}: {what}")

    def observed(self, elastic: Elastic | None) -> Truth:
        """Note the truth at a look. `elastic`: the bounds as the controller knows them."""
        fleet, world, rows = self.fleet, self.fleet.world, self.fleet.rows
        self.admitted = {one.index: one.admitted for one in fleet.instances}
        return Truth(
            fleet.load() + sum(one.stuck and not one.active for one in fleet.instances),  # as it may be seen
            sum(claim.count for claim in fleet.live_claims()),
            sum(row.state in CAPACITY for row in rows.values()),
            sum(row.state is State.READY for row in rows.values()),
            world.now - fleet.asked_at,
            world.now,
            elastic,
            sum(row.state is State.LEAVING and self._may_open(row.index) for row in rows.values()),
        )

    def _may_open(self, index: int) -> bool:
        one = self.fleet.find(index)
        return one is not None and one.may_open

    def decided(self, decision: Decision, truth: Truth) -> None:
        elastic = truth.bounds
        rows = self.fleet.rows.values()
        back = min(truth.back, sum(row.state is State.LEAVING for row in rows))
        kept = sum(row.state in CAPACITY for row in rows) + back
        if decision.desired > elastic.max or (decision.desired < elastic.min and decision.desired < kept):
            self.wrong(f"{decision.desired} are desired, and the bounds are {elastic.min} to {elastic.max}")

    def wrote(self, row: Slot, event: SlotEvent) -> None:
        failed, world = self.fleet.failed, self.fleet.world
        if event in (SlotEvent.BROKE, SlotEvent.DIED) and row.state is not State.ENDING:
            failures = failed.get(row.index, (0.0, 0, 0))[1] + 1
            failed[row.index] = (world.now, failures, world.jumps)
            if row.state is State.READY and event is SlotEvent.BROKE and row.index in self.fleet.refuses:
                self.fleet.refused.setdefault(self.fleet.refuses.pop(row.index), {})[row.index] = world.now
        elif event is SlotEvent.SERVED:
            failed.pop(row.index, None)

    def starts(self, row: Slot, rows: Mapping[int, Slot], truth: Truth) -> None:
        """No start without need, beyond the bounds, of a slot that cools off, or of a further slot while many fail."""
        elastic = truth.bounds
        truth.starting += 1
        fleet, world, before = self.fleet, self.fleet.world, sum(one.state in CAPACITY for one in rows.values())
        load = max([load for at, load in fleet.samples if at >= world.now - FRESH_SECONDS], default=0)
        if world.now - truth.at < FRESH_SECONDS:
            load = max(load, truth.load)
        after, need = before + truth.starting, load / elastic.requests_per_instance
        asked = max(elastic.min, truth.claimed)
        if after > asked and (after > -(-load // elastic.requests_per_instance) or need <= 1.1 * before):
            self.wrong(f"slot {row.index} starts as number {after}; {truth} needs {max(asked, need):.2f}")
        if sum(one.paid for one in rows.values()) + truth.starting > elastic.max:
            self.wrong(f"slot {row.index} starts beyond {elastic.max}")
        if row.index in fleet.failed:
            at, failures, jumps = fleet.failed[row.index]
            cooled = cool_until(Slot(row.index, failures=failures, failed_at=at))
            if jumps == world.jumps and world.now < cooled - 1.0:
                self.wrong(f"slot {row.index} starts {world.now - at:.0f} s after failure {failures} on end")
        elif len(fleet.failed) >= TRIED_MOST:
            self.wrong(f"slot {row.index} starts while {sorted(fleet.failed)} fail")

    def leaves(self, row: Slot, truth: Truth, strict: bool) -> None:
        """No slot leaves that serves a claim, that lasting load of the window needs, or while somebody has just asked."""
        fleet, elastic = self.fleet, truth.bounds
        if row.claim is not None and any(claim.id == row.claim for claim in fleet.live_claims()):
            self.wrong(f"slot {row.index} leaves, and serves claim {row.claim}")
        left = sum(one.state is State.READY for one in fleet.rows.values())
        most = fleet.most_lasting(elastic.down_seconds)
        need = fleet.needed(most, elastic)
        if left < need and left < truth.ready:
            self.wrong(f"slot {row.index} leaves, {left} serve, and {most} requests lasted within the window")
        if left == 0 and elastic.max > 0 and truth.unasked_seconds < elastic.idle_seconds - LATE_SECONDS:
            self.wrong(f"slot {row.index} is the last and leaves; somebody asked {truth.unasked_seconds:.0f} s ago")
        self.chosen.pop(row.index, None)
        if strict:
            self.chosen[row.index] = self.admitted.get(row.index, 0)

    def ends(self, row: Slot, mine: bool) -> None:
        """No slot ends that is wanted again, or that its own process chose as idle and that has let somebody in since."""
        world, instance = self.fleet.world, self.fleet.find(row.index)
        if mine and instance is not None and instance.admitted != self.chosen.get(row.index, instance.admitted):
            self.wrong(f"slot {row.index} ends as idle, and somebody got in since it was chosen")
        short = self.fleet.short_since if self.fleet.is_short() else None
        calm = world.now - world.metrics_down > 60.0
        if short is not None and world.now - short > 60.0 and calm and self._may_open(row.index):
            self.wrong(f"slot {row.index} ends, and capacity has been short for {world.now - short:.0f} s")

    # -- edits

    def marks(self, was: Slot, now: Slot) -> None:
        """Note since when a row is as it is. A slot with a claim follows an edit only after those without."""
        world = self.fleet.world
        if (was.state, was.claim) != (now.state, now.claim):
            self.since[now.index] = world.now
        if now.follows is None:
            self.marked.pop(now.index, None)
        elif was.follows is None:
            self.marked[now.index] = world.now
            last = self.fleet.rollout.max_unavailable == "1" and not self._is_closed(was.index)
            if last and was.claim is not None and self._is_settled(was.index) and (free := self._free()):
                self.wrong(f"slot {was.index} follows {now.follows} and serves a claim, before {free}")

    def _is_settled(self, index: int) -> bool:
        world = self.fleet.world
        changed = max(self.since.get(index, 0.0), world.led_at, self.fleet.edited_at)
        return world.now - changed > SETTLED_SECONDS

    def _free(self) -> list[int]:
        """Return slots that have long been without a claim, and serve by an older config."""
        fleet, found = self.fleet, []
        for row in fleet.rows.values():
            one = fleet.find(row.index)
            older = one is not None and one.gate is Gate.OPEN and one.made_of != fleet.digest
            if older and row.state is State.READY and row.claim is None and row.follows is None:
                found.append(row.index)
        return [index for index in found if self._is_settled(index)]

    def _is_closed(self, index: int) -> bool:
        one = self.fleet.find(index)
        return one is not None and one.gate is Gate.CLOSED

    def takes_down(self, instance: Instance) -> None:
        """No slot goes down for an edit that it has, beyond `maxUnavailable`, or after another one could not follow."""
        fleet, index = self.fleet, instance.index
        if instance.made_of == fleet.digest:
            self.wrong(f"slot {index} is taken down, and follows {fleet.digest} already")
        down = [
            one.index
            for one in fleet.instances
            if one.changing and one is not instance and fleet.rows[one.index].state in (State.READY, State.FAILED)
        ]
        began = self.marked.get(index, fleet.world.now)
        shut = [one for one, at in fleet.shut.items() if one != index and one not in down and began - at > SEEN_SECONDS]
        down += [one for one in shut if fleet.rows[one].state is State.READY and self._is_closed(one)]
        most = int(fleet.rollout.max_unavailable)
        if len(down) >= most:
            self.wrong(f"slot {index} is taken down for {fleet.digest} beside {down}; {most} may be down at once")
        failed = [one for one, at in fleet.refused.get(fleet.digest, {}).items() if at < began]
        if failed:
            self.wrong(f"slot {index} is taken down for {fleet.digest}, which slots {failed} could not follow")
        instance.changing = True
        fleet.world.count("taken down")
