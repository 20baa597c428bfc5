"""What a dashboard is made of: rows of panels, each with one query or a few, a unit and, where there is one, a bound.

`legend` names labels in braces, as Prometheus' templates do: `{{name}}`. Windows of rates are Grafana's $__rate_interval,
which `runnable` replaces where there is no Grafana.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RATE = "$__rate_interval"
UNITS = ("seconds", "ratio", "usd", "usd_per_hour", "count", "per_second", "bytes", "celsius", "watts", "days")


@dataclass(frozen=True)
class Query:
    """One expression and how its series are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """`kind`: line, bar (now, one bar a series), number (now) or table (labels of each series, now).

    `bound` is what it should stay under. `sparse`: it may well be empty, because what it shows should not happen.
    """

    title: str
    about: str
    queries: Sequence[Query]
    unit: str
    kind: str = "line"
    bound: float | None = None
    sparse: bool = False
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class Dashboard:
    """One dashboard: `rows` are panels under a heading. `uid` is stable: links and bookmarks hang on it."""

    uid: str
    title: str
    about: str
    rows: Mapping[str, Sequence[Panel]] = field(default_factory=dict)

    @property
    def panels(self) -> list[Panel]:
        """All panels in order."""
        return [panel for row in self.rows.values() for panel in row]


def runnable(expression: str, rate_seconds: float = 60) -> str:
    """Return an expression as Prometheus takes it, without Grafana's variables."""
    return expression.replace(RATE, f"{rate_seconds:g}s")
