"""The shipped rules as one bundle, so that a test can hand in a controller that lacks one of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controller import claims, demand, leaving, locked, scaling, slots
from controller import plan as planning


@dataclass(frozen=True)
class Rules:
    """Everything of `controller/` that the played controller calls."""

    live: Callable[..., tuple[demand.Claim, ...]] = demand.live
    assign: Callable[..., dict[int, str | None]] = claims.assign
    measure: Callable[..., demand.Load] = demand.measure
    steps: Sequence[scaling.Step] = scaling.STEPS
    plan: Callable[..., planning.Plan] = planning.plan
    set_back: Callable[..., slots.Slot | None] = slots.set_back
    leave: Callable[..., leaving.Answer] = leaving.step
    late: Callable[..., object] = locked.late
    changed: Callable[..., object] = locked.changed
    unwanted: Callable[..., object] = locked.unwanted
    by_the_wall: bool = False  # whether moments of waits are of the wall clock
