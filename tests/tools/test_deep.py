"""The parts of `make test-deep`: what is run again, and what the page of results says."""

import subprocess
from pathlib import Path

import pytest

from tools import deep
from tools.deep import Result

REPO = Path(__file__).resolve().parents[2]
REPORT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10"/>
</testsuites>"""


def result(commit: str = "a" * 12, failed: int = 0) -> Result:
    return Result(commit, "2026-11-30", 10, failed, 1, 1.5)


def test_a_part_is_done_once_it_has_passed_at_this_commit() -> None:
    assert deep.passed(result(), "a" * 40)
    assert not deep.passed(result(), "b" * 40)
    assert not deep.passed(result(failed=1), "a" * 40)
    assert not deep.passed(None, "a" * 40)


def test_a_changed_work_tree_has_passed_nothing() -> None:
    assert not deep.passed(result(), "a" * 40 + deep.CHANGED)


def test_counts_are_read_from_the_report() -> None:
    assert deep.counts(REPORT) == (4, 3, 3)


def test_the_page_is_the_memory() -> None:
    results = {"pure": result(), "soak-1": result("b" * 12, failed=2)}
    page = deep.with_results(f"before\n{deep.BEGIN}\n{deep.END}\nafter\n", results)

    assert deep.remembered(page) == results


def test_a_row_that_is_no_result_is_left_out() -> None:
    row = "| pure | 2026-11-30 | `aaaaaaaaaaaa` | 10 | 0 | 1 | 1.5 |"
    for other in ("", "| pure | 2026 |", row.replace("10", "many"), row.replace("a`", "`")):
        assert deep.remembered(f"{deep.BEGIN}\n{other}\n{deep.END}\n{row}\n") == {}


def test_the_page_gets_each_part_and_their_sum_between_its_marks() -> None:
    page = f"before\n{deep.BEGIN}\nold\n{deep.END}\nafter\n"

    written = deep.with_results(page, {"pure": result(), "seams": result(failed=2)})

    assert written.startswith("before\n")
    assert written.endswith(f"{deep.END}\nafter\n")
    assert "old" not in written
    assert "| seams | 2026-11-30 | `aaaaaaaaaaaa` | 10 | 2 | 1 | 1.5 |" in written
    assert "| all | | | 20 | 2 | 2 | 3.0 |" in written


def test_the_page_of_this_repository_has_the_marks() -> None:
    page = (REPO / "docs" / "benchmarks.md").read_text()

    assert page.index(deep.BEGIN) < page.index(deep.END)


def test_every_file_that_a_part_names_exists_and_every_seed_is_played_once() -> None:
    known = deep.parts()
    words = [word for part in known.values() for word in part.words if word.startswith("tests/")]
    played = [dict(part.environment)["SOAK"].split("-") for part in known.values() if part.environment]

    assert [word for word in words if not (REPO / word).exists()] == []
    assert [seed for first, last in played for seed in range(int(first), int(last))] == list(range(deep.SOAK_SEEDS))


def test_what_a_part_leaves_out_another_names() -> None:
    parts = [part.words for part in deep.parts().values()]
    pairs = [pair for words in parts for pair in zip(("", *words), words, strict=False)]
    left_out = {word for before, word in pairs if before == "--ignore"}
    named = {word for before, word in pairs if before != "--ignore"}

    assert "tests/faults/test_kills.py" in left_out
    assert left_out <= named


def test_a_changed_work_tree_is_told_from_its_commit(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x@x", *words], check=True)

    git("init", "-q")
    (tmp_path / "docs").mkdir()
    for name in ("file", "docs/benchmarks.md"):
        (tmp_path / name).write_text("one\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    head = deep.commit_of(tmp_path)
    assert len(head) == len("a" * 40)

    (tmp_path / "docs" / "benchmarks.md").write_text("results\n")
    assert deep.commit_of(tmp_path) == head
    git("commit", "-q", "-a", "-m", "results")
    assert deep.commit_of(tmp_path) == head
    (tmp_path / "file").write_text("two\n")
    assert deep.commit_of(tmp_path) == f"{head}+"


def test_a_part_that_is_not_there_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert deep.main(["no-such-part"]) == 2
    assert "seams" in capsys.readouterr().err
