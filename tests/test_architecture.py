"""ARCHITECTURE.md names files and folders that exist, and only such."""

import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"`([\w.]+(?:/[\w.]*)+|__main__\.py)`")


def test_every_place_that_the_page_names_exists():
    named = NAMED.findall((REPO / "ARCHITECTURE.md").read_text())

    assert len(named) > 30
    assert [place for place in named if not (REPO / place).exists()] == []


def test_every_room_is_named():
    page = (REPO / "ARCHITECTURE.md").read_text()

    assert [
        room
        for room in (
            "config",
            "components",
            "controller",
            "providers",
            "bootstrap",
            "monitoring",
            "review",
            "sandbox",
            "offline",
        )
        if f"`{room}" not in page
    ] == []
