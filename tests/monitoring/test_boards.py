"""Dashboards as data: what Grafana's own linter asks for, restated; and every query once, from the one place for PromQL."""

import ast
import re
from pathlib import Path

import pytest

from monitoring import queries
from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.panels import RATE, UNITS, Dashboard, Panel, runnable

PANELS = [(board, panel) for board in BOARDS for panel in board.panels]
KINDS = ("line", "bar", "number", "table")


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda one: one.title)
def test_a_panel_has_title_description_unit_and_legends(board: Dashboard, panel: Panel) -> None:
    assert panel.title
    assert panel.about.endswith(".")
    assert panel.unit in UNITS
    assert panel.kind in KINDS
    assert panel.queries
    assert all(query.legend for query in panel.queries)
    assert bool(panel.columns) == (panel.kind == "table")


def test_boards_and_titles_are_told_apart() -> None:
    assert [board.title for board in BOARDS] == ["Fleet", "Endpoint", "Money", "Cold start", "Elastic fleets"]
    assert len({board.uid for board in BOARDS}) == len(BOARDS)
    for board in BOARDS:
        assert len({panel.title for panel in board.panels}) == len(board.panels)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda one: one.title)
def test_counters_stand_under_a_rate_and_windows_are_grafanas(board: Dashboard, panel: Panel) -> None:
    for query in panel.queries:
        for metric in re.findall(r"\b[a-z_:]+_total\b", query.expression):
            whole_bill = (
                metric.startswith("vast_") and board.title == "Money"
            )  # added up from the ledger, reset by nothing
            assert whole_bill or re.search(rf"(rate|increase)\({metric}", query.expression), query.expression
    if board.title == "Endpoint" and panel.kind == "line":
        assert all("rate(" not in query.expression or RATE in query.expression for query in panel.queries)


def test_promql_is_in_queries_and_nowhere_else() -> None:
    room = Path(queries.__file__).parent
    found = []
    for file in [
        *room.glob("*.py"),
        *room.glob("dashboards/*.py"),
        *room.glob("report/*.py"),
        *room.glob("criteria/*.py"),
    ]:
        if file.name == "queries.py":
            continue
        texts = [
            node.value
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        found += [f"{file.name}: {text}" for text in texts if re.search(r"(rate|sum|histogram_quantile)\(", text)]
    assert found == []


def test_a_query_without_grafana_has_no_variable_left() -> None:
    left = [query.expression for _, panel in PANELS for query in panel.queries if "$" in runnable(query.expression)]
    assert left == []
