"""The description of a fault: its name, the part of the sandbox that plays it, and a sentence about its effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Room = Literal["market", "host", "store", "vllm", "hetzner"]


@dataclass(frozen=True)
class Fault:
    """One fault. `sentence` describes its effect.

    `calls`: the kinds of market call that it can strike, empty for any. `fields`: the fields of a row that it can
    spoil. `lasts`: by default it strikes until it is switched off. `on_host`: the host's own name and options for it,
    if a host plays it. `at_once`: it strikes when it is armed, without an occasion. `outage_seconds`: after a strike it goes
    on for so many market seconds and strikes every call of any kind.
    """

    name: str
    room: Room
    sentence: str
    calls: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    lasts: bool = False
    on_host: tuple[str, Mapping[str, object]] | None = None
    at_once: bool = False
    outage_seconds: float = 0.0


class FaultUnknown(Exception):
    """An unknown fault, or an arming that makes no sense. The message is a sentence for the operator."""
