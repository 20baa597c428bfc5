"""What is said of a stack that cannot be read or does not answer."""

from __future__ import annotations

import pytest

from cli.stacks import silent, unreadable


@pytest.mark.parametrize(
    ("stack", "says"),
    [("local", "there is no stack local; `make up` makes it"), ("dev", "`pulumi up --stack dev` makes it")],
)
def test_a_stack_that_is_not_there_is_said_with_what_makes_it(stack, says):
    assert says in unreadable(stack, f"error: no stack named '{stack}' found\n")


def test_any_other_reason_is_pulumis_own_in_one_line():
    said = unreadable("dev", "warning: old\nerror: incorrect passphrase\n\n")
    assert said == "the stack dev cannot be read: incorrect passphrase"
    assert unreadable("dev", "") == "the stack dev cannot be read: Pulumi says nothing"


def test_a_stack_on_a_real_market_is_not_sent_to_the_sandbox():
    said = silent("chat-0", "https://192.0.2.1:1", "dev", "timed out")
    assert "sandbox" not in said
    assert "`pulumi refresh --stack dev`" in said
