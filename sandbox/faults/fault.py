"""What a fault is: its name, whose it is, and the sentence that says what happens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Room = Literal["market", "host", "store", "vllm"]


@dataclass(frozen=True)
class Fault:
    """One fault. `sentence` says what happens when it strikes.

    `calls`: the kinds of call to the market that it can strike, empty for any. `fields`: those of a row that it can
    spoil. `lasts`: unless told otherwise it strikes until it is switched off. `on_host`: the host's own name and options
    for it, where a host plays it. `at_once`: it strikes when it is armed and waits for no occasion. `spell`: struck once,
    it goes on for so many market seconds and strikes every call of any kind.
    """

    name: str
    room: Room
    sentence: str
    calls: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    lasts: bool = False
    on_host: tuple[str, Mapping[str, object]] | None = None
    at_once: bool = False
    spell: float = 0.0


class FaultUnknown(Exception):
    """A name that no fault has, or an arming that makes no sense; the message is a sentence for the operator."""
