"""Credentials at the door: who shows one is who it was given to, and nothing else opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.identity.metrics_credentials import Reporter, password_for, reporter_of

KEY = "k" * 32
reporters = st.builds(
    Reporter,
    st.from_regex(r"[0-9]{1,12}", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9]{0,8}-[0-9]{1,3}", fullmatch=True),
    st.from_regex(r"[a-z2-7]{16}", fullmatch=True),
)


@given(reporters, reporters)
def test_a_credential_is_good_for_whom_it_was_given_to_and_nobody_else(one: Reporter, other: Reporter) -> None:
    password = password_for(KEY, one.user)

    assert reporter_of(KEY, one.user, password) == one
    assert reporter_of(KEY + "x", one.user, password) is None
    assert reporter_of("", one.user, password_for("", one.user)) is None
    if other != one:
        assert reporter_of(KEY, other.user, password) is None


@pytest.mark.parametrize(
    "user", ["", "7", "7.chat-0", "7.chat-0.abc.x", "7.Chat.abc", "x.chat-0.abc", "7.chat-0.abc\n"]
)
def test_what_is_no_user_of_ours_does_not_open(user: str) -> None:
    assert reporter_of(KEY, user, password_for(KEY, user)) is None


@given(reporters, st.text(max_size=60))
def test_no_other_password_opens(one: Reporter, password: str) -> None:
    assert reporter_of(KEY, one.user, password) is None
