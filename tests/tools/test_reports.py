"""What ends up in front of the operator: the table, the figures and the market's meter."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import sandbox_stack
from tools import bench, table

REPO = Path(__file__).resolve().parents[2]


@given(st.lists(st.lists(st.text("ab€", max_size=5), min_size=3, max_size=3), min_size=1))
def test_columns_begin_at_the_same_place(rows):
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    for row, line in zip(rows, table.lines(rows).splitlines(), strict=True):
        assert line[widths[0] + 2 :].startswith(row[1])


FIGURE = {"figure": "rent", "value": 2.5, "unit": "s", "goal": 3, "better": "less"}


def test_a_bench_files_output_parts_into_figures_and_talk():
    text = f"warming up\n{json.dumps(FIGURE)}\n[1]\n{json.dumps(FIGURE | {'goal': None})}\n"
    figures, talk = bench.read(text)
    assert figures == [FIGURE]
    assert len(talk) == 3


@pytest.mark.parametrize(
    ("value", "better", "met"),
    [(2, "less", True), (3, "less", True), (4, "less", False), (4, "more", True), (2, "more", False)],
)
def test_a_goal_is_met_on_its_own_side(value, better, met):
    figure = FIGURE | {"value": value, "better": better}
    assert bench.met(figure) is met
    assert bench.render([figure]).splitlines()[1].endswith("yes" if met else "NO")


def test_a_market_that_bills_nothing_raises_no_complaint():
    assert sandbox_stack.billed({"instances": [], "usd_per_hour": 0.0}) == ""


@pytest.mark.parametrize(
    "market",
    [
        {"instances": [{"id": 7, "label": "gpu-fleet/x/chat-0"}], "usd_per_hour": 0.4},
        {"instances": [{"id": 7, "label": "gpu-fleet/x/chat-0"}], "usd_per_hour": 0.0},
    ],
)
def test_what_is_still_rented_is_named_with_its_price(market):
    said = sandbox_stack.billed(market)
    assert "gpu-fleet/x/chat-0" in said
    assert f"${market['usd_per_hour']:.2f}" in said


def test_the_published_figures_are_those_that_were_measured() -> None:
    page, figures = (REPO / "docs/benchmarks.md").read_text(), json.loads((REPO / "bench" / "results.json").read_text())

    assert bench.with_table(page, figures) == page
    assert "| a figure | 1.5 ms | ≤ 2 ms | yes |" in bench.table(
        [{"figure": "a figure", "value": 1.5, "unit": "ms", "goal": 2, "better": "less"}]
    )
