"""Fold instances to which the same happens for the same reason into one row. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from review.report import Action, Cause, InstanceReview
from review.totals import ORDER, expected

_NUMBERED = re.compile(r"(?P<fleet>.*)-(?P<index>[0-9]{1,9})\Z", re.DOTALL)
LISTED_NAMES, LISTED_PRICES = 3, 3


@dataclass(frozen=True)
class Row:
    """Instances of one fleet that share action and causes, in the order of their numbers."""

    instances: tuple[InstanceReview, ...]

    @property
    def first(self) -> InstanceReview:
        """The first instance, which speaks for all."""
        return self.instances[0]

    @property
    def action(self) -> Action:
        """Their common action."""
        return self.first.action

    @property
    def because(self) -> tuple[Cause, ...]:
        """Why."""
        return self.first.because

    @property
    def names(self) -> tuple[str, ...]:
        """Their names; ranges of numbers such as `chat-2 … chat-57` if there are many."""
        if len(self.instances) <= LISTED_NAMES:
            return tuple(one.name for one in self.instances)
        found: list[str] = []
        for run in _runs([one.name for one in self.instances]):
            found += run if len(run) < 3 else [f"{run[0]} to {run[-1]}"]
        return tuple(found)

    @property
    def now(self) -> str:
        """Their cost now, in $/h."""
        return prices([one.usd_per_hour.now for one in self.instances])

    @property
    def then(self) -> str:
        """Their expected cost after the edit, in $/h."""
        return prices([expected(one) for one in self.instances])


def fold(instances: Sequence[InstanceReview]) -> list[Row]:
    """Return the rows in the order of actions; unchanged instances come last."""
    rows: dict[object, list[InstanceReview]] = {}
    for one in instances:
        down = None if one.down_seconds is None else round(one.down_seconds / 10)
        key = (one.fleet, one.action, one.because, down, one.down_why, one.usd_per_hour.ceiling)
        rows.setdefault(key, []).append(one)
    found = [Row(tuple(sorted(row, key=lambda one: _number(one.name)))) for row in rows.values()]
    return sorted(found, key=lambda row: ORDER.index(row.action))  # sorts stably, so fleets keep config's order


def prices(known: Sequence[float | None]) -> str:
    """Return prices in $/h: each of a few, else the least and the most; and the number of unknown ones."""
    some = sorted(price for price in known if price is not None)
    if not some:
        return "unknown"
    missing = len(known) - len(some)
    each = list(dict.fromkeys(f"{price:.3f}" for price in some))
    text = ", ".join(each) if len(each) <= LISTED_PRICES else f"{each[0]}–{each[-1]}"
    return f"{text}, {missing} unknown" if missing else text


def _number(name: str) -> tuple[str, int]:
    found = _NUMBERED.match(name)
    return (found["fleet"], int(found["index"])) if found else (name, 0)


def _runs(names: Sequence[str]) -> list[list[str]]:
    """Return names whose numbers follow each other in runs."""
    runs: list[list[str]] = []
    for name in names:
        fleet, number = _number(name)
        if runs and _number(runs[-1][-1]) == (fleet, number - 1) and _NUMBERED.match(name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return runs
