"""From Prometheus to what is on the page: each panel's queries asked and drawn."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

from monitoring import queries
from monitoring.criteria.verdicts import PROVISIONING_SECONDS, judge, measured
from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.panels import Dashboard, Panel, Query, runnable
from monitoring.exporter.sources import PHASES
from monitoring.prometheus import Prometheus, Series
from monitoring.report import charts
from monitoring.report.page import Drawn, Report, Section, table
from monitoring.report.quantities import shown

POINTS = 120
LEAST_STEP_SECONDS = 5.0
NOTHING = "<p class=about>No data in this time.</p>"


def report(prometheus: Prometheus, source: str, begin: float, end: float, window: str) -> Report:
    """Ask for everything between two moments (unix seconds). Raises PrometheusError."""
    verdicts = [
        (verdict.word, verdict.name, measured(verdict), [measure.query for measure, _, _ in verdict.rows])
        for verdict in judge(prometheus, window)
    ]
    step = max(LEAST_STEP_SECONDS, (end - begin) / POINTS)
    if known := prometheus.range(queries.watched(), begin, end, step):
        begin = max(begin, known[0].points[0][0] - step)
        step = max(LEAST_STEP_SECONDS, (end - begin) / POINTS)
    fired = {
        (
            one.labels["alertname"],
            one.labels.get("name") or one.labels.get("model_name") or one.labels.get("source", ""),
        )
        for one in prometheus.range(queries.firing(), begin, end, step)
    }
    return Report(
        source,
        begin,
        end,
        verdicts,
        sorted(fired),
        timeline(prometheus.query(queries.last_phases(), end)),
        [section(board, prometheus, begin, end, step) for board in BOARDS],
    )


def timeline(found: Sequence[Series]) -> str:
    """Draw the latest provisioning of each instance; an empty text where there was none."""
    phases: dict[str, dict[str, float]] = {}
    for one in found:
        phases.setdefault(one.labels["name"], {})[one.labels["phase"]] = one.value
    return charts.timeline(dict(sorted(phases.items())), PHASES, PROVISIONING_SECONDS) if phases else ""


def section(board: Dashboard, prometheus: Prometheus, begin: float, end: float, step: float) -> Section:
    """Draw one dashboard."""
    rows = [
        (heading, [draw(panel, prometheus, begin, end, step) for panel in panels])
        for heading, panels in board.rows.items()
    ]
    return Section(board.title, board.about, rows)


def draw(panel: Panel, prometheus: Prometheus, begin: float, end: float, step: float) -> Drawn:
    """Ask one panel's queries and draw what they answer."""
    asked = [runnable(query.expression, max(60.0, 4 * step)) for query in panel.queries]
    if panel.kind == "line":
        body = _lines(panel, [prometheus.range(one, begin, end, step) for one in asked], (begin, end))
    else:
        body = _now(panel, [prometheus.query(one, end) for one in asked])
    return Drawn(panel.title, panel.about, body, asked)


def name_of(query: Query, labels: Mapping[str, str]) -> str:
    """Return what a series is called: the legend with its labels put in.

    >>> name_of(Query("up", "{{name}} {{phase}}"), {"name": "chat-0", "phase": "wait"})
    'chat-0 wait'
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), query.legend).strip() or "value"


def _lines(panel: Panel, found: Sequence[Sequence[Series]], window: tuple[float, float]) -> str:
    series = {
        name_of(query, one.labels): [(at, value) for at, value in one.points if math.isfinite(value)]
        for query, answer in zip(panel.queries, found, strict=True)
        for one in answer
    }
    drawn = {name: points for name, points in series.items() if points}
    return charts.lines(drawn, panel.unit, window, panel.bound) if drawn else NOTHING


def _now(panel: Panel, found: Sequence[Sequence[Series]]) -> str:
    pairs = [
        (name_of(query, one.labels), one)
        for query, answer in zip(panel.queries, found, strict=True)
        for one in answer
        if math.isfinite(one.value)
    ]
    if not pairs:
        return NOTHING
    if panel.kind == "table":
        return table(panel.columns, [[escape(one.labels.get(name, "")) for name in panel.columns] for _, one in pairs])
    if panel.kind == "number":
        return f"<div class=big>{escape(shown(pairs[0][1].value, panel.unit))}</div>"
    return charts.bars({name: one.value for name, one in pairs}, panel.unit, panel.bound)
