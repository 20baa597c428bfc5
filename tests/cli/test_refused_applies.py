"""A refused apply rents nothing: over a thousand reviews that became worse in one field, and no engine was called once."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.apply import NOTHING, Applying
from review.report import Exit, Review
from tests.review.test_applying import NOW, WORSE, approved, reviews


@pytest.mark.parametrize("worse", WORSE, ids=lambda one: one.__name__)
def test_a_refused_apply_calls_no_engine_and_publishes_nothing(worse: Any) -> None:
    called: list[str] = []
    refused = 0

    def engine(words: Any, _take: Any) -> tuple[int, str]:
        called.append(words[0])
        return 0, ""

    @settings(max_examples=60)
    @given(reviews(), st.data())
    def never(review: Review, data: st.DataObject) -> None:
        nonlocal refused
        fresh = worse(review, data.draw)
        if fresh is None:
            return
        done = Applying("dev", approved(review), lambda: fresh, lambda: called.append("publish"), engine, lambda: NOW)
        outcome = done.run()
        assert outcome.status == Exit.NOT_AS_REVIEWED
        assert outcome.sentences[-1] == NOTHING
        assert outcome.rented == ()
        refused += 1

    never()
    assert called == []
    assert refused >= 3
