"""Each row of docs/changes.md is played by the engine: what a run of many minutes would find, found at once."""

from tests.doubles.changes_table import Rehearsal, missing, play_all, unknown
from tests.doubles.pulumi_stack import sandbox_config


def test_every_row_is_played_or_named_with_the_place_that_plays_it() -> None:
    table = Rehearsal(sandbox_config("http://127.0.0.1:1", 1, "http://127.0.0.1:2"))

    play_all(table)

    assert missing(table.played) == set()
    assert unknown(table.played) == set()
