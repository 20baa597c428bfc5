"""A square wave of load on a fleet whose slots are there at once; see `scaling`."""

import math

from config.elastic import Elastic
from controller.demand import Load
from controller.memory import Memory
from controller.money import Money
from controller.scaling import Situation, decide
from controller.slots import Slot, State

TICK_SECONDS = 10


def wave_changes(elastic: Elastic, minutes: float, low: int, high: int, seconds: int = 3600) -> int:
    """Play a square wave, half of it high, and count how often the count of instances changes."""
    memory, count, changes, used_at = Memory(), 0, 0, 0
    for now in range(0, seconds, TICK_SECONDS):
        requests = high if now % (60 * minutes) < 30 * minutes else low
        used_at = now if requests else used_at
        load = Load(requests, idle_seconds=now - used_at if count else math.inf)
        slots = tuple(Slot(index, State.READY) for index in range(count))
        decision = decide(Situation("chat", elastic, slots, load, (), Money(0.5), memory, float(now)))
        changes += decision.desired != count
        memory, count = decision.memory, decision.desired
    return changes
