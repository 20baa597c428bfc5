"""Rows of docs/changes.md: the engine plays each of them, and none leaves out a key on which its effect depends."""

from dataclasses import replace
from typing import Any

from components.changes_page import EDITS, FLEET, effect
from tests.doubles.changes_table import Rehearsal, missing, play_all, unknown
from tests.doubles.pulumi_stack import sandbox_config

# Keys that change what an instance is given, one of each kind.
OTHERS: dict[str, Any] = {
    "budget.usdPerDay": 5,
    "limits.attempts": 2,
    "market.timeScale": 3,
    "store.hostEndpoint": "https://hosts.example",
    "store.referenceUrl": "https://files.example/100MB.bin",
    f"{FLEET}.hosting": "datacenter",
    f"{FLEET}.idleMinutes": 45,
    f"{FLEET}.preflight.cpuCores": 2,
    f"{FLEET}.warmStart": True,
}


def test_every_row_is_played_or_named_with_the_place_that_plays_it() -> None:
    table = Rehearsal(sandbox_config("http://127.0.0.1:1", 1, "http://127.0.0.1:2"))

    play_all(table)

    assert missing(table.played) == set()
    assert unknown(table.played) == set()


def test_a_row_says_on_which_other_keys_its_effect_depends() -> None:
    depending = {
        edit.key
        for edit in EDITS
        if not edit.says
        and edit.key not in OTHERS
        and effect(edit) != effect(replace(edit, given={**OTHERS, **edit.given}))
    }

    assert depending == {"market.hostUrl"}  # it has a row for each
    assert len([edit for edit in EDITS if edit.key == "market.hostUrl"]) == 2
