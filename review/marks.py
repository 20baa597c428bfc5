"""Marks of groups of an instance's settings: digests by which a state and a revision are compared without any value.

The values of environment variables are in no mark, because a short secret can be guessed from a digest.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from config.masking import HIDDEN, masked
from config.monitoring import WrittenMetrics
from providers.vast.settings import InstanceSettings

STANDS_FOR_SECRET = re.compile(r'\[secret\][^"]*|(https://)?secret-[0-9a-f]{16}(\.invalid)?')
Does = Literal["replace", "in place", "recorded"]


@dataclass(frozen=True)
class Group:
    """A group of settings: the marked value, its path, the effect of an edit, and its key in the rules of `up`."""

    value: Callable[[InstanceSettings], Any]
    path: tuple[str, ...]
    does: Does
    rule: str

    def moved(self, into: InstanceSettings, source: InstanceSettings) -> InstanceSettings:
        """Return settings with the group of other ones."""
        first, *rest = self.path
        value = getattr(source, first)
        if rest:
            value = getattr(into, first).model_copy(update={rest[0]: getattr(value, rest[0])})
        return into.model_copy(update={first: value})


GROUPS: Mapping[str, Group] = {
    "marketUrl": Group(lambda one: masked(one.market.url), ("market", "url"), "replace", "market.url"),
    "arguments": Group(lambda one: one.server.arguments, ("server", "arguments"), "in place", "server"),
    "environment": Group(lambda one: sorted(one.server.environment), ("server", "environment"), "in place", "server"),
    "warmStart": Group(lambda one: one.server.warm_start, ("server", "warm_start"), "in place", "server"),
    "metrics": Group(lambda one: _metrics(one.metrics), ("metrics",), "in place", "metrics"),
    "selfDestruct": Group(lambda one: _dumped(one.self_destruct), ("self_destruct",), "in place", "selfDestruct"),
    "market": Group(lambda one: _dumped(one.market), ("market",), "recorded", "market"),
    "limits": Group(lambda one: _dumped(one.limits), ("limits",), "recorded", "limits"),
    "budget": Group(lambda one: _dumped(one.budget), ("budget",), "recorded", "budget"),
    "preflight": Group(lambda one: _dumped(one.preflight), ("preflight",), "recorded", "preflight"),
    "store": Group(lambda one: _dumped(one.store), ("store",), "recorded", "store"),
}


def marks_of(settings: InstanceSettings) -> dict[str, str]:
    """Return the mark of each group. Texts that stand for secrets count as equal."""
    return {name: _mark(group.value(settings)) for name, group in GROUPS.items()}


def reports_nothing(marks: Mapping[str, str]) -> bool:
    """Return whether the settings with these marks make a host report no metrics."""
    return marks.get("metrics") == _mark(None)


def _dumped(section: Any) -> Any:
    return section.model_dump(mode="json", by_alias=True) if section is not None else None


def _metrics(section: WrittenMetrics | None) -> Any:
    """Return the section; without the URL of the stack's own receiver, which only Hetzner tells."""
    left_out = {"url"} if section and section.own_ca else {"own_ca"}
    return section.model_dump(mode="json", by_alias=True, exclude=left_out) if section else None


def _mark(value: Any) -> str:
    text = STANDS_FOR_SECRET.sub(HIDDEN, masked(json.dumps(value, sort_keys=True, separators=(",", ":"))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
