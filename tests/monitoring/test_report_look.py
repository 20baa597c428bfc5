"""The report in a real browser: everything is to be seen, nothing sticks out, on a desk and on a phone."""

from pathlib import Path

import pytest

from monitoring.report.drawing import report
from monitoring.report.page import render
from tests.doubles.browser import measure, picture
from tests.monitoring.test_report import NOW, Known
from tools.packages import browser

pytestmark = [
    pytest.mark.monitoring,
    pytest.mark.skipif(browser() is None, reason="no browser: `make test` installs Chromium on Debian"),
]
LOOK = """
    const box = (one) => one.getBoundingClientRect();
    const shown = (one) => box(one).width > 0 && box(one).height > 0;
    const out = (inner, outer) => box(inner).right > box(outer).right + 1 || box(inner).left < box(outer).left - 1;
    const svgs = [...document.querySelectorAll("svg")];
    return {
        wider: document.documentElement.scrollWidth - innerWidth,
        charts: svgs.length,
        hidden: svgs.filter((one) => !shown(one)).length,
        outside: svgs.filter((one) => out(one, one.closest(".panel, .wide"))).length,
        stretched: [...document.querySelectorAll(".panel, .wide")].filter((one) => out(one, document.body)).length,
        headings: [...document.querySelectorAll("h2")].map((one) => one.textContent),
        pass: getComputedStyle(document.querySelector(".pass")).color,
        requests: performance.getEntriesByType("resource").map((one) => one.name),
    };
"""


@pytest.mark.parametrize("width", [1280, 600])
def test_all_of_it_is_seen_and_nothing_sticks_out(tmp_path: Path, width: int) -> None:
    found = measure(render(report(Known(), "http://there", NOW - 3600, NOW, "1h")), LOOK, tmp_path, width)

    assert found["charts"] >= 25
    assert (found["hidden"], found["outside"], found["stretched"], found["requests"]) == (0, 0, 0, [])
    assert found["wider"] <= 0
    assert {"Success criteria", "Alerts", "Fleet", "Endpoint", "Money", "Cold start"} <= set(found["headings"])
    assert found["pass"] == "rgb(21, 128, 61)"


def test_a_page_without_data_can_be_looked_at_too(tmp_path: Path) -> None:
    page = render(report(Known(empty=True), "http://there", NOW - 3600, NOW, "1h"))

    assert picture(page, tmp_path).stat().st_size > 10_000
