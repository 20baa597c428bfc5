"""The shipped rules, and one that the played clock obeys, so that a history can be played without one of them."""

from dataclasses import dataclass

from controller.loop import rules


@dataclass(frozen=True)
class Rules(rules.Rules):
    """What the played controller plays by."""

    by_the_wall: bool = False  # whether moments of waits are of the wall clock
