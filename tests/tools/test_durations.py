"""Where the time of a run went, by folder."""

from pathlib import Path

import pytest

from tools import durations

REPO = Path(__file__).resolve().parents[2]
REPORT = """<testsuites><testsuite name="pytest">
<testcase classname="tests.engine.test_fleet" name="test_the_life_of_a_fleet" time="40.5"/>
<testcase classname="tests.engine.test_fleet" name="test_bad_input[a]" time="2"/>
<testcase classname="tests.engine.test_fleet" name="test_bad_input[b]" time="2.5"/>
<testcase classname="tests.providers.vast.test_offers" name="test_rank" time="5"/>
<testcase classname="tests.test_hygiene" name="test_files" time="0"/>
</testsuite></testsuites>"""


def test_folders_come_with_their_seconds_share_and_slowest_test() -> None:
    assert durations.table(durations.read(REPORT)).splitlines()[2:] == [
        "| engine | 45 | 90% | test_the_life_of_a_fleet (40 s) |",
        "| providers/vast | 5 | 10% | test_rank (5 s) |",
        "| . | 0 | 0% | test_files (0 s) |",
    ]


def test_without_a_report_the_command_that_makes_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert durations.main([str(tmp_path / "none.xml")]) == 1
    assert "`make test` writes it" in capsys.readouterr().err


def test_the_page_has_the_marks() -> None:
    page = (REPO / "CONTRIBUTING.md").read_text()

    assert page.index(durations.BEGIN) < page.index(durations.END)
