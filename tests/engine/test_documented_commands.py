"""No command stands in README or docs that no test runs, but for those that have a reason."""

import pytest

from tests.doubles.documented import HOW, OPERATING, PAGES, REPO, SENTENCES, WITHIN, commands_of, inline_of, known_as
from tests.engine.test_operating import PAGE, blocks

BY_CASE = "docs/operating.md"  # its test takes whole blocks out of the page, case by case


@pytest.mark.parametrize("page", [page for page in PAGES if page != BY_CASE])
def test_each_command_is_run_by_a_test_or_has_a_reason(page: str) -> None:
    assert {known_as(command) for command in commands_of(page)} == set(HOW.get(page, {}))


def test_each_command_within_a_sentence_is_run_by_a_test_or_has_a_reason() -> None:
    in_blocks = {command for page in PAGES for command in commands_of(page)}

    assert {command for page in SENTENCES for command in inline_of(page)} - in_blocks == set(WITHIN)


def test_each_test_that_is_named_is_there() -> None:
    named = {how for rows in (*HOW.values(), WITHIN) for how in rows.values() if " " not in how}
    assert named
    assert [test for test in named | {OPERATING} if not (REPO / "tests" / test).is_file()] == []


def test_the_cases_of_operating_hold_all_its_commands() -> None:
    cases = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    first = commands_of(BY_CASE)[:2]  # before the first case; all others follow below a heading
    held = [command for case in cases for block in blocks(case) for command in block]
    assert first == ["gpu-fleet sweep", "gpu-fleet explain chat-0"]
    assert [*first, *held] == commands_of(BY_CASE)
