"""Asks Prometheus for each panel's queries and draws the answers."""

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


def report(prometheus: Prometheus, source: str, begin: float, end: float, window: str) -> Report:
    """Ask for everything on the page between two moments (unix seconds). `window` is a PromQL duration for the verdicts.

    Raises PrometheusError.
    """
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
        [
            section(board, prometheus, begin, end, step)
            for board in BOARDS
            if not board.shown_if or prometheus.range(board.shown_if, begin, end, step)
        ],
    )


def timeline(found: Sequence[Series]) -> str:
    """Draw the latest provisioning of each instance. Without any, return an empty text."""
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
    """Ask one panel's queries and draw their answers."""
    asked = [runnable(query.expression, max(60.0, 4 * step)) for query in panel.queries]
    if panel.kind == "line":
        body = _lines(panel, [prometheus.range(one, begin, end, step) for one in asked], (begin, end))
    else:
        body = _now(panel, [prometheus.query(one, end) for one in asked])
    return Drawn(panel.title, panel.about, body, asked)


def name_of(query: Query, labels: Mapping[str, str]) -> str:
    """Return the name of a series: the legend with its labels filled in.

    >>> name_of(Query("up", "{{name}} {{phase}}"), {"name": "chat-0", "phase": "wait"})
    'chat-0 wait'
    """
    return fill_in(query.legend, labels) or "value"


def fill_in(legend: str, labels: Mapping[str, str]) -> str:
    """Return a legend with its labels filled in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _lines(panel: Panel, found: Sequence[Sequence[Series]], window: tuple[float, float]) -> str:
    series = {
        name_of(query, one.labels): [(at, value) for at, value in one.points if math.isfinite(value)]
        for query, answer in zip(panel.queries, found, strict=True)
        for one in answer
    }
    drawn = {name: points for name, points in series.items() if points}
    return charts.lines(drawn, panel.unit, window, panel.bound) if drawn else nothing(panel)


def _now(panel: Panel, found: Sequence[Sequence[Series]]) -> str:
    answers = list(zip(panel.queries, found, strict=True))
    pairs = [
        (name_of(query, one.labels), one)
        for query, answer in answers
        for one in answer
        if math.isfinite(one.value) and not query.limit_of
    ]
    if not pairs:
        return nothing(panel)
    if panel.kind == "table":
        return _table(panel, [one for _, one in pairs])
    if panel.kind == "number":
        return f"<div class=big>{escape(shown(pairs[0][1].value, panel.unit))}</div>"
    limits = {
        fill_in(query.limit_of, one.labels): one.value for query, answer in answers if query.limit_of for one in answer
    }
    return charts.bars({name: one.value for name, one in pairs}, panel.unit, panel.bound, limits)


def _table(panel: Panel, series: Sequence[Series]) -> str:
    rows = [[one.labels.get(name, "") for name in panel.columns] for one in series]
    heads = list(panel.columns)
    if panel.value_column:
        heads.append(panel.value_column)
        rows = [[*row, shown(one.value, panel.unit)] for row, one in zip(rows, series, strict=True)]
    return table(heads, [[escape(cell) for cell in row] for row in rows])


def nothing(panel: Panel) -> str:
    """Return the text of a panel without data."""
    return f"<p class=about>{escape(panel.empty or 'No data in this time.')}</p>"
