"""What must hold whenever a controller decides and acts, checked against the world's own truth and not by the rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.elastic import Elastic
from controller.scaling import Decision
from controller.slots import CAPACITY, Event, Slot, State, cool_until
from tests.doubles.elastic.world import World

TRIED_MOST = 3  # failing slots beside each other
FRESH_SECONDS = 60.0  # load that is longer ago starts nothing
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
    starting: int = 0

    @property
    def bounds(self) -> Elastic:
        assert self.elastic is not None
        return self.elastic


@dataclass(eq=False)
class Watch:
    """The invariants of decisions."""

    world: World
    admitted: dict[int, int] = field(default_factory=dict)  # index -> admissions when it was seen last
    chosen: dict[int, int] = field(
        default_factory=dict
    )  # index -> admissions at the look by which it was chosen as idle

    def observed(self, elastic: Elastic | None, rows: Mapping[int, Slot]) -> Truth:
        world = self.world
        self.admitted = {one.index: one.admitted for one in world.instances}
        return Truth(
            world.load() + sum(one.stuck and not one.active for one in world.instances),  # as it may be seen
            sum(claim.count for claim in world.live_claims()),
            sum(row.state in CAPACITY for row in rows.values()),
            sum(row.state is State.READY for row in rows.values()),
            world.now - world.asked_at,
            world.now,
            elastic,
        )

    def decided(self, decision: Decision, truth: Truth) -> None:
        elastic = truth.bounds
        kept = sum(row.state in (*CAPACITY, State.LEAVING) for row in self.world.rows.values())
        if decision.desired > elastic.max or (decision.desired < elastic.min and decision.desired < kept):
            self.world.wrong(f"{decision.desired} are desired, and the bounds are {elastic.min} to {elastic.max}")

    def wrote(self, row: Slot, event: Event) -> None:
        failed = self.world.failed
        if event in (Event.BROKE, Event.DIED) and row.state is not State.ENDING:
            failures = failed.get(row.index, (0.0, 0, 0))[1] + 1
            failed[row.index] = (self.world.now, failures, self.world.jumps)
        elif event is Event.SERVED:
            failed.pop(row.index, None)

    def starts(self, row: Slot, rows: Mapping[int, Slot], truth: Truth) -> None:
        """No start without need, beyond the bounds, of a slot that cools off, or of a further slot while many fail."""
        elastic = truth.bounds
        truth.starting += 1
        world, before = self.world, sum(one.state in CAPACITY for one in rows.values())
        load = max([load for at, load in world.samples if at >= world.now - FRESH_SECONDS], default=0)
        if world.now - truth.at < FRESH_SECONDS:
            load = max(load, truth.load)
        after, need = before + truth.starting, load / elastic.requests_per_instance
        asked = max(elastic.min, truth.claimed)
        if after > asked and (after > -(-load // elastic.requests_per_instance) or need <= 1.1 * before):
            world.wrong(f"slot {row.index} starts as number {after}; {truth} needs {max(asked, need):.2f}")
        if sum(one.paid for one in rows.values()) + truth.starting > elastic.max:
            world.wrong(f"slot {row.index} starts beyond {elastic.max}")
        if row.index in world.failed:
            at, failures, jumps = world.failed[row.index]
            cooled = cool_until(Slot(row.index, failures=failures, failed_at=at))
            if jumps == world.jumps and world.now < cooled - 1.0:
                world.wrong(f"slot {row.index} starts {world.now - at:.0f} s after failure {failures} on end")
        elif len(world.failed) >= TRIED_MOST:
            world.wrong(f"slot {row.index} starts while {sorted(world.failed)} fail")

    def leaves(self, row: Slot, truth: Truth, strict: bool) -> None:
        """No slot leaves that serves a claim, that lasting load of the window needs, or while somebody has just asked."""
        world, elastic = self.world, truth.bounds
        if row.claim is not None and any(claim.id == row.claim for claim in world.live_claims()):
            world.wrong(f"slot {row.index} leaves, and serves claim {row.claim}")
        left = sum(one.state is State.READY for one in world.rows.values())
        most = world.most_lasting(elastic.down_seconds)
        need = world.needed(most, elastic)
        if left < need and left < truth.ready:
            world.wrong(f"slot {row.index} leaves, {left} serve, and {most} requests lasted within the window")
        if left == 0 and elastic.max > 0 and truth.unasked_seconds < elastic.idle_seconds - LATE_SECONDS:
            world.wrong(f"slot {row.index} is the last and leaves; somebody asked {truth.unasked_seconds:.0f} s ago")
        self.chosen.pop(row.index, None)
        if strict:
            self.chosen[row.index] = self.admitted.get(row.index, 0)

    def ends(self, row: Slot, mine: bool) -> None:
        """No slot ends that is wanted again, or that its own process chose as idle and that has let somebody in since."""
        world, instance = self.world, self.world.find(row.index)
        if mine and instance is not None and instance.admitted != self.chosen.get(row.index, instance.admitted):
            world.wrong(f"slot {row.index} ends as idle, and somebody got in since it was chosen")
        short = world.short_since
        calm = world.now - world.metrics_down > 60.0
        if short is not None and world.now - short > 60.0 and calm:
            world.wrong(f"slot {row.index} ends, and capacity has been short for {world.now - short:.0f} s")
