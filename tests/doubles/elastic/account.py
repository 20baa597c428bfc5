"""What the fleets of a played world share: the account with its money, claims, locks of slots, and who leads."""

from dataclasses import dataclass, field

from controller.demand import Claim
from controller.ports import SlotId
from tests.doubles.elastic.host import Instance
from tests.doubles.elastic.timeline import WALL, Process, Timeline

HOUR = 3600.0
DAY_SECONDS = 3 * HOUR  # until the budget's day ends: history begins at 21:00 UTC
BESIDE = 0.1  # $/h of what the account rents besides


@dataclass
class Account(Timeline):
    """One account at the market, and one table of claims."""

    budget: float = 0.0
    lease_seconds: float | None = None
    jumps: int = 0
    broken_market: bool = False
    quick_states: bool = False  # a process knows where slots answer from its first look
    metrics_down: float = 0.0  # until when
    over: bool = False  # a destroyed stack is not made again
    left_alone: bool = False  # no controller starts any more
    leader: Process | None = None
    led_at: float = 0.0  # since when it leads
    number: int = 0
    all_instances: list[tuple[Instance, float]] = field(default_factory=list)  # with its ceiling
    locks: dict[SlotId, Process] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def calendar(self) -> float:
        """Return unix seconds of a clock that nobody sets."""
        return WALL + self.now

    def answers(self, instance: Instance) -> bool:
        return instance.ended is None and instance.booted and not instance.dead and self.now >= instance.silent_until

    # -- money

    def spent(self) -> float:
        """Return what the account has cost since the history began."""
        total = BESIDE * self.now
        for one, _ceiling in self.all_instances:
            total += ((one.ended if one.ended is not None else self.now) - one.born) * one.price
        return total / HOUR

    def within_budget(self, ceiling: float) -> None:
        """See that one more rent fits, with all that is rented until the day ends."""
        if not self.budget:
            return
        hours = (DAY_SECONDS - self.now) / HOUR
        rented = sum(most for one, most in self.all_instances if one.ended is None)
        most = self.spent() + (rented + ceiling + BESIDE) * hours
        if most > self.budget + 1e-6:
            self.wrong(f"the rent may cost ${most:.2f} of ${self.budget:.2f}")

    # -- locks of slots, as the engine's: a dead holder's lock is cancelled

    def lock(self, place: SlotId, process: Process) -> bool:
        holder = self.locks.get(place)
        if holder is not None and holder.alive and not holder.done and holder is not process:
            return False
        self.locks[place] = process
        return True

    def unlock(self, place: SlotId, process: Process) -> None:
        if self.locks.get(place) is process:
            del self.locks[place]
