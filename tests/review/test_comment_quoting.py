"""What the reviewed revision says is text in a comment, and nothing else, whatever it says.

Only generates: to make a failing review smaller takes hypothesis minutes.
"""

import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from review.comment.quote import code, html_code, prose, visible
from review.comment.render import MOST, comment
from review.report import Review
from tests.doubles.markdown import PARSER, active, tokens
from tests.doubles.reviews import NASTY, everywhere, reviews, texts

OURS = set("→≤≥–…×·✅⚠️❌⛔❔🚩")
CELLS = {5, 8}


@settings(max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(reviews)
def test_complaint_1_any_review_keeps_the_bound_and_nothing_of_the_head_is_more_than_text(review: Review) -> None:
    made = comment(review)
    for text in (made.body, made.over_old):
        assert len(text) <= MOST
        assert active(text) == []
        assert {letter for letter in text if not (" " <= letter <= "~" or letter == "\n")} <= OURS
        assert not [line for line in text.splitlines() if line.startswith("/")], "a forge reads a command there"
        assert "hunter2secret" not in text
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert {line.count("|") - 1 for line in rows} <= CELLS
        headings = [token for token in tokens(text) if token.type == "heading_open"]
        assert [token.tag for token in headings] == (["h3"] if text else [])
    assert made.body.startswith(made.marker) or not made.body
    assert made.over_old.startswith(made.marker)
    assert made.marker.count("-->") == 1


@pytest.mark.parametrize("text", NASTY)
def test_a_nasty_text_in_every_place_at_once_does_nothing(text: str) -> None:
    review = everywhere(text)

    for made in (comment(review).body, comment(review).over_old):
        assert active(made) == []
        assert "<ol" not in PARSER.render(made)
    assert "hunter2secret" not in comment(review).body


@given(texts)
def test_a_quoted_text_is_one_code_span_and_says_all_of_a_short_text(text: str) -> None:
    line = PARSER.parseInline(code(text, 10_000))[0].children or []

    if text:
        assert [token.type for token in line] == ["code_inline"]
    assert len(code(text)) <= 62
    assert len(visible(text)) <= 60
    assert active(f"| {code(text)} | {prose(text)} |") == []
    assert re.fullmatch(r"<code>[^<>]*</code>", html_code(text))


def test_plain_sentences_stay_as_they_are_and_the_rest_is_code() -> None:
    assert prose("see VAST_KEY, a_b. and :x: or (c_d): ...") == "see `VAST_KEY`, `a_b`. and `:x`: or `(c_d`): ..."
    assert prose("rerank: no offer fits; raise maxUsdPerHour from 0.25 to 0.344 (18 would match)") == (
        "rerank: no offer fits; raise maxUsdPerHour from 0.25 to 0.344 (18 would match)"
    )
    assert (
        prose("set @team to https://evil.example or GH-12 at 5%")
        == "set `@team` to `https://evil.example` or `GH-12` at 5%"
    )
    assert code("a\u202eb`c|d") == "`a\\u202eb\\u0060c\\u007cd`"


def test_the_list_of_nasty_texts_is_nasty() -> None:
    """Unquoted, most of them would do something, so that the tests above can fail."""
    assert sum(bool(active(f"a {text} b")) for text in NASTY) > 25
