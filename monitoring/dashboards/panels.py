"""The parts of a dashboard: rows of panels. A panel has one or more queries, a unit and perhaps a bound.

`legend` has labels in braces, as Prometheus' templates do: `{{name}}`. The window of a rate is Grafana's $__rate_interval.
Outside Grafana, `runnable` replaces it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RATE = "$__rate_interval"
UNITS = ("seconds", "ratio", "usd", "usd_per_hour", "count", "per_second", "bytes", "celsius", "watts", "days")


@dataclass(frozen=True)
class Query:
    """One expression and the legend of its series.

    `limit_of` is another query's legend in the panel: each value here is the limit of the series with that name there.
    """

    expression: str
    legend: str = ""
    limit_of: str = ""


@dataclass(frozen=True)
class Panel:
    """`kind`: line, bar (now, one bar a series), number (now) or table (labels of each series, now).

    A value should stay under `bound`. `sparse`: the panel may be empty, because the event that it shows should not happen or
    needs much traffic. `columns` are a table's labels; with `value_column` a last column of that name has the values.
    `empty` is the text without data.
    """

    title: str
    about: str
    queries: Sequence[Query]
    unit: str
    kind: str = "line"
    bound: float | None = None
    sparse: bool = False
    columns: Sequence[str] = ()
    value_column: str = ""
    empty: str = ""


@dataclass(frozen=True)
class Dashboard:
    """One dashboard. `rows` are panels under a heading. `uid` never changes, because links and bookmarks use it.

    `shown_if` is an expression: if it has no value, the stack has nothing of this kind, and the report leaves the board out.
    """

    uid: str
    title: str
    about: str
    rows: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    shown_if: str = ""

    @property
    def panels(self) -> list[Panel]:
        """All panels in order."""
        return [panel for row in self.rows.values() for panel in row]


def single(title: str, about: str, expression: str, legend: str, unit: str = "count", **more: Any) -> Panel:
    """Return a panel of one query."""
    return Panel(title, about, [Query(expression, legend)], unit, **more)


def age(title: str, about: str, expression: str, legend: str, bound: float, **more: Any) -> Panel:
    """Return a panel of seconds that should stay under a bound."""
    return single(title, about, expression, legend, "seconds", bound=bound, **more)


def trouble(title: str, about: str, expression: str, legend: str, **more: Any) -> Panel:
    """Return a panel that counts what should not happen, and is empty as long as it does not."""
    return single(title, about, expression, legend, sparse=True, **more)


def runnable(expression: str, rate_seconds: float = 60) -> str:
    """Return an expression without Grafana's variables, as Prometheus takes it."""
    return expression.replace(RATE, f"{rate_seconds:g}s")
