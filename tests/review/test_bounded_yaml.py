"""Whatever a head writes into a stack's file, a review reads it as data or refuses it in a sentence."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from review.bounded_yaml import UnfitYaml, read_bounded

MARKS = st.sampled_from(
    [*"&*!|>-:{}[],?#%@`'\"\n\t ", "<<: ", "- ", "a: ", "&a ", "*a ", "!!python/name:os ", "---\n", "...\n"]
)
WORDS = st.text(st.characters(categories=("L", "N")), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or isinstance(value, str | int | float)


@given(st.lists(st.text(max_size=6) | MARKS, max_size=30).map("".join))
@example("0o" + "7" * 5000)
@example("1" * 5000)
@example("a: 2026-99-99")
@example("? [a, b]\n: c")
@example("\ud800")
@example('a: "\\ud800"')
def test_any_text_is_read_as_plain_values_or_refused(text: str) -> None:
    try:
        found = read_bounded(text)
    except UnfitYaml:
        return
    assert plain(found)
    json.dumps(found, ensure_ascii=False).encode()


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_has_no_alias_is_read(values: dict[str, Any]) -> None:
    found = read_bounded(json.dumps(values, ensure_ascii=False))
    assert list(found) == list(values)
