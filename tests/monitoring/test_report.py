"""The report's page: whole, self-contained, and nothing from outside is taken for HTML."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring import queries
from monitoring.dashboards.boards import BOARDS
from monitoring.prometheus import Prometheus, Series
from monitoring.report import charts
from monitoring.report.drawing import report, timeline
from monitoring.report.page import Report, render
from monitoring.report.quantities import shown

pytestmark = pytest.mark.service

NOW = 1_800_000_000.0
ODD = 'cha<script>"&é'


class Known(Prometheus):
    """Answers every query with the same two series, or with nothing."""

    def __init__(self, empty: bool = False) -> None:
        self.empty = empty
        self.asked: list[str] = []

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        self.asked.append(expression)
        labels = {"name": ODD, "phase": "wait", "model_name": "tiny", "kind": "gpu", "alertname": "EndpointDown"}
        return (
            [] if self.empty else [Series(labels, [(NOW, 1.5)]), Series({**labels, "name": "b"}, [(NOW, float("nan"))])]
        )

    def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        return [Series(one.labels, [(start + 9, 1.0), (end, one.value)]) for one in self.query(expression)]

    def number(self, expression: str) -> float | None:
        return None if self.empty else 0.1 if expression == queries.dearest() else 1.0


class Tags(HTMLParser):
    """Which tags a page has, and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = [(name, value or "") for name, value in attrs]
        self.fetched += [value for name, value in named if name in ("src", "href", "xlink:href") and value[:1] != "#"]


def tags(page: str) -> Tags:
    parser = Tags()
    parser.feed(page)
    return parser


@pytest.fixture(scope="module")
def drawn() -> Report:
    """Every panel, which takes seconds to draw."""
    return report(Known(), "http://there", NOW - 3600, NOW, "1h")


def test_a_page_draws_every_panel_and_needs_no_network(drawn: Report) -> None:
    page = render(drawn)
    found = tags(page)

    assert found.tags.count("svg") >= 25
    assert "script" not in found.tags
    assert found.fetched == []
    assert "cha&lt;script&gt;" in page
    assert page.count("<span class=pass>") == 3
    assert "EndpointDown" in page


class WithoutController(Known):
    """A stack that has no elastic fleet, and too little past for a chart to be drawn."""

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        return [] if expression == queries.controllers() else super().query(expression, at)

    def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        return []


def test_elastic_fleets_are_on_the_page_of_a_stack_with_a_controller_alone(drawn: Report) -> None:
    without = report(WithoutController(), "http://there", NOW - 3600, NOW, "1h")
    titles = [section.title for section in without.sections]

    assert [section.title for section in drawn.sections] == [board.title for board in BOARDS]
    assert titles == [board.title for board in BOARDS if not board.shown_if]
    assert len(titles) == len(BOARDS) - 1


def test_a_page_without_data_says_so_and_does_not_fail() -> None:
    page = render(report(Known(empty=True), "http://there", NOW - 3600, NOW, "1h"))

    assert page.count("<span class=no>") == 3
    assert "svg" not in tags(page).tags
    assert "No alert fired in this time." in page


def test_a_timeline_names_instance_phase_and_total() -> None:
    rows = [
        Series({"name": "chat-0", "phase": phase}, [(NOW, took)]) for phase, took in (("rent", 1.0), ("wait", 99.0))
    ]
    drawn = timeline(rows)

    ET.fromstring(drawn)
    assert timeline([]) == ""


@settings(max_examples=20)  # each draws
@given(st.dictionaries(st.text(max_size=9), st.floats(-1e9, 1e9), min_size=1, max_size=3))
def test_any_names_and_values_make_a_drawing(values: dict[str, float]) -> None:
    assert charts.bars(values, "usd").startswith("<svg")


@pytest.mark.parametrize("name", ["b", "rerank qwen3-reranker-8b-awq-int4 meta-llama/llama-3.1-8b-instruct", "x" * 120])
def test_long_names_leave_half_of_the_width_to_the_bars(name: str) -> None:
    drawn = charts.bars({name: 14.0, "chat": 1.0}, "usd")
    width = float(drawn.partition('viewBox="0 0 ')[2].partition(" ")[0])
    edges = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", drawn.partition('id="patch_2"')[2].partition("/>")[0])]

    assert len(edges) == 4
    assert max(edges) - min(edges) >= width / 2


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0042, "seconds", "4.2 ms"),
        (59, "seconds", "59 s"),
        (7200, "seconds", "2 h"),
        (0.0023, "usd", "$0.0023"),
        (1234.5, "usd", "$1,234.50"),
        (0.5, "usd_per_hour", "$0.500/h"),
        (999, "bytes", "999 B"),
        (24.5e9, "bytes", "24.5 GB"),
        (3.0, "count", "3"),
    ],
)
def test_numbers_are_shown_as_people_read_them(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_a_budget_far_above_the_cost_is_named_and_does_not_flatten_it() -> None:
    small = charts.bars({"day": 0.31, "month": 4.0}, "usd")
    limited = charts.bars({"day": 0.31, "month": 4.0}, "usd", limits={"month": 5000.0})

    assert "$0.310" in small
    assert "$4.00 of $5,000.00" in limited
    assert "$5,000" not in limited.replace("$4.00 of $5,000.00", "")  # neither a tick nor a bar
    ticks = [text for text in ("$2.00", "$3.00", "$4.00") if text in limited]
    assert ticks


def test_a_bound_far_above_the_values_is_named_in_the_legend_and_does_not_flatten_them() -> None:
    points = [(NOW - 60, 0.04), (NOW, 0.05)]

    far = charts.lines({"p95": points}, "seconds", (NOW - 60, NOW), bound=2)
    near = charts.lines({"p95": [(at, 25 * value) for at, value in points]}, "seconds", (NOW - 60, NOW), bound=2)

    assert "bound 2 s, above the chart" in far
    assert "40 ms" in far
    assert "above the chart" not in near
    assert "bound 2 s" in near


def test_the_inventory_has_each_instances_price(drawn: Report) -> None:
    page = render(drawn)

    assert "<th>price</th>" in page
    assert "<td>$1.50/h</td>" in page
