"""The offers and clients of the applied main stack, and the choice of the fleet that serves a request; pure."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bootstrap.gpu_names import all_market_names, is_known, near_names
from config.elastic import Elastic

SHOWN = 5  # fleets that a refusal names


class OffersUnknown(Exception):
    """The controller does not know the applied fleets now. The message is for the operator."""


@dataclass(frozen=True)
class Offered:
    """One elastic fleet. `gpus` are names in any spelling, none for any GPU; `ceiling` is $/h of one instance at most."""

    fleet: str
    model: str
    gpus: tuple[str, ...]
    bounds: Elastic
    ceiling: float

    def says(self) -> str:
        """Return the fleet as a refusal names it."""
        return f"{self.model} on {' or '.join(self.gpus) or 'any GPU'} (fleet {self.fleet})"


@dataclass(frozen=True)
class Client:
    """A client that may call. `key` is the API key; neither a log nor the audit gets it."""

    name: str
    key: str = field(repr=False)
    scopes: frozenset[str]
    max_instances: int
    max_ttl_minutes: float


@dataclass(frozen=True)
class Offers:
    """Everything that one version of the main stack applied. `token` returns an instance's bearer token by its name."""

    fleets: tuple[Offered, ...]
    clients: Mapping[str, Client]
    token: Callable[[str], str] = field(repr=False)

    def find(self, fleet: str) -> Offered | None:
        """Return a fleet by its name."""
        return next((one for one in self.fleets if one.fleet == fleet), None)


class NoFleet(Exception):
    """No fleet serves the request. `says` tells why, `near` are requests that a fleet would serve, nearest first."""

    def __init__(self, says: str, near: Iterable[str]) -> None:
        super().__init__(says)
        self.says, self.near = says, tuple(near)


def choose(fleets: Iterable[Offered], model: str, gpu: str | None, claimed: Mapping[str, int], count: int) -> Offered:
    """Return the fleet that serves a model on a GPU, both in any spelling. Raises NoFleet.

    Of several it takes the one with most room below `max` beside the `claimed` instances. Then the lowest ceiling decides,
    then the name.
    """
    able = [one for one in fleets if one.bounds.max > 0]
    named = [one for one in able if same_model(one.model, model)]
    if not named:
        raise NoFleet(f"No elastic fleet serves a model {model!r}.", _near_models(able, model))
    fitting = [one for one in named if gpu is None or serves_gpu(one, gpu)]
    if not fitting:
        hint = (
            "" if gpu is None or is_known(gpu) or not near_names(gpu) else f" Near names: {', '.join(near_names(gpu))}."
        )
        raise NoFleet(f"No elastic fleet serves {named[0].model} on a GPU {gpu!r}.{hint}", _described(named))
    large = [one for one in fitting if one.bounds.max >= count]
    if not large:
        most = max(one.bounds.max for one in fitting)
        raise NoFleet(
            f"{count} instances are more than any such fleet may have; {most} are the most.", _described(fitting)
        )
    return min(large, key=lambda one: (-_room(one, claimed, count), one.ceiling, one.fleet))


def same_model(name: str, asked: str) -> bool:
    """Say whether two spellings are of one model. Case, dashes and dots do not count, nor the part before a slash."""
    return _key(name) == _key(asked) or _key(name.rpartition("/")[2]) == _key(asked.rpartition("/")[2])


def serves_gpu(offered: Offered, gpu: str) -> bool:
    """Say whether a fleet rents a GPU of that name, or of that family."""
    return not offered.gpus or bool(set(all_market_names([gpu])) & set(all_market_names(offered.gpus)))


def _room(offered: Offered, claimed: Mapping[str, int], count: int) -> int:
    """Return how many of the wanted instances fit beside the claimed ones."""
    return min(count, max(0, offered.bounds.max - claimed.get(offered.fleet, 0)))


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold()) or name


def _near_models(fleets: Iterable[Offered], asked: str) -> list[str]:
    by_key = {_key(one.model): one for one in fleets}
    near = difflib.get_close_matches(_key(asked), by_key, n=SHOWN, cutoff=0.3)
    return _described([*(by_key[key] for key in near), *(one for key, one in by_key.items() if key not in near)])


def _described(fleets: Iterable[Offered]) -> list[str]:
    return [one.says() for one in fleets][:SHOWN]
