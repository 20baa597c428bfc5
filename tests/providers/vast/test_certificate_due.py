"""Certificates that end soon: any update renews them."""

import pytest

from providers.vast.certificate_due import is_due, with_due
from providers.vast.lifecycle import compare
from providers.vast.settings import InstanceSettings
from providers.vast.update_effects import effect
from tests.doubles.settings import PROPS

DAY = 86_400.0
NOW = 1_800_000_000.0
SETTINGS = InstanceSettings.from_props(PROPS)


@pytest.mark.parametrize(
    ("end", "due"),
    [(NOW + 31 * DAY, False), (NOW + 29 * DAY, True), (NOW - DAY, True), (0, False), (None, False), ("soon", False)],
)
def test_the_last_month_is_due(end: object, due: bool) -> None:
    assert is_due(end, NOW) is due


def test_an_update_renews_in_place_what_is_due_and_touches_nothing_else() -> None:
    due, fresh = {"certificateEnd": NOW + DAY}, {"certificateEnd": NOW + 80 * DAY, "drift": []}

    found = compare(SETTINGS, SETTINGS, with_due(due, NOW))

    assert (found.replace, found.in_place) == ([], ["drift"])
    assert effect(found, SETTINGS, SETTINGS, due).describe() == "endpoint closed while the gate restarts"
    assert not compare(SETTINGS, SETTINGS, with_due(fresh, NOW)).any
