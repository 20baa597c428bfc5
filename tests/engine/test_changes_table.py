"""docs/changes.md on the real engine: what the preview says of an edit is what `up` does, and its plan allows it."""

import pytest

from tests.doubles.changes_table import Table, missing, play_all
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.pulumi_stack import Engine

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.deep, pytest.mark.timeout(1800)]


def test_what_the_preview_says_of_each_row_is_what_up_does(cloud: Cloud, engine: Engine) -> None:
    table = Table(cloud, engine.stack(REPO))

    play_all(table)

    assert missing(table.played) == set()
    table.stack.destroy()
