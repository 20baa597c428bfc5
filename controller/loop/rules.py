"""The rules that the loop plays by, as one bundle: a test hands in a loop that lacks one of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controller import claims, demand, leaving, locked, scaling, slots, waves
from controller import plan as planning
from controller.reasons import Reason


@dataclass(frozen=True)
class Rules:
    """Every rule of `controller/` that the loop calls."""

    live: Callable[..., tuple[demand.Claim, ...]] = demand.live
    assign: Callable[..., dict[int, str | None]] = claims.assign
    measure: Callable[..., demand.Load] = demand.measure
    steps: Sequence[scaling.Step] = scaling.STEPS
    plan: Callable[..., planning.Plan] = planning.plan
    spare: Callable[..., Mapping[int, Reason]] = planning.spared
    wave: Callable[..., waves.Wave] = waves.next_wave
    crowded: Callable[..., Reason | None] = waves.crowded
    set_back: Callable[..., slots.Slot | None] = slots.set_back
    leave: Callable[..., leaving.Answer] = leaving.step
    late: Callable[..., Reason | None] = locked.late
    led: Callable[..., Reason | None] = locked.led
    changed: Callable[..., Reason | None] = locked.changed
    unwanted: Callable[..., Reason | None] = locked.unwanted
