"""A figure of many hours is played in rounds: a run goes on where earlier runs of the same code ended."""

from collections.abc import Iterable
from pathlib import Path

from bench.market_trouble import CODE, ROUND, Played, digest, go_on, read


def test_a_run_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    file, rounds = tmp_path / "cache" / "progress.json", list[range]()

    def play_round(seeds: range) -> Iterable[tuple[int, int]]:
        rounds.append(seeds)
        return [(1, 0), (0, 2)]

    assert go_on(file, 25, play_round, lambda: False) == Played(ROUND, 1, 2)
    assert go_on(file, 25, play_round, lambda: True) == Played(25, 3, 6)
    assert rounds == [range(ROUND), range(ROUND, 2 * ROUND), range(2 * ROUND, 25)]
    assert go_on(file, 25, play_round, lambda: True) == Played(25, 3, 6)
    assert len(rounds) == 3


def test_progress_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", '{"later": 1}'):
        (tmp_path / "progress.json").write_text(text)
        assert read(tmp_path / "progress.json") == Played()


def test_other_code_begins_anew(tmp_path: Path) -> None:
    found = set()
    for room in CODE:
        (tmp_path / room).mkdir(parents=True)
        (tmp_path / room / "rule.py").write_text("")
        found.add(digest(tmp_path))
        (tmp_path / room / "rule.py").write_text("a = 1")
        found.add(digest(tmp_path))

    assert len(found) == 2 * len(CODE)
