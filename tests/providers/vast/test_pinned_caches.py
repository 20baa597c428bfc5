"""The committed file of pins."""

from pathlib import Path

import pytest

from weights.pinned_caches import pins_file, read_pins, with_pin

KEY, DIGEST = "a" * 64, "b" * 64


def test_it_lies_beside_the_manifest() -> None:
    assert pins_file(Path("models/tiny.json")) == Path("models/tiny.warm.json")


def test_a_pin_is_added_and_replaces_that_of_its_key() -> None:
    first = with_pin("", {"key": KEY, "sha256": "c" * 64})
    second = with_pin(first, {"key": "d" * 64, "sha256": DIGEST})
    third = with_pin(second, {"key": KEY, "sha256": DIGEST})

    assert read_pins(third) == {KEY: DIGEST, "d" * 64: DIGEST}


@pytest.mark.parametrize("text", ["[]", "{", '{"a": "b"}', f'{{"{KEY}": 3}}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_pins(text)
