"""Stack config is read as Pulumi reads it, and URLs are printed without their passwords."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.dialect import DialectError, read_yaml
from config.masking import masked


def test_words_stay_words_and_keys_are_texts() -> None:
    text = "regions: [DE, NO]\non: off\n7: 1\ntrue: yes\nday: 2026-01-02\nb: true\nn: 0.5\nempty:\n"

    assert read_yaml(text) == {
        "regions": ["DE", "NO"],
        "on": "off",
        "7": 1,
        "true": "yes",
        "day": "2026-01-02 00:00:00 +0000 UTC",
        "b": True,
        "n": 0.5,
        "empty": None,
    }


@pytest.mark.parametrize("text", ["{", "a: [", "a: b: c", "a: 1\na: 2", "!!python/object:os.system x"])
def test_what_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(DialectError):
        read_yaml(text)


@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=3), st.sampled_from(["", "user"]))
def test_a_password_in_a_url_is_never_shown(password: str, user: str) -> None:
    text = f"at https://{user}:0{password}0@host.example:8443/p?q=1, cannot"

    assert masked(text) == f"at https://{user}:[secret]@host.example:8443/p?q=1, cannot"


@pytest.mark.parametrize("text", ["https://host:8443/a@b", "chat-0: http://h/x:y@z", "user@host:22", "s3://bucket"])
def test_other_texts_stay(text: str) -> None:
    assert masked(text) == text
