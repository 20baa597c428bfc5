"""`make log`: which instance, and secrets out of state only for this process."""

import json

import pytest

from tools.log import LogError, pick, plain


def test_secrets_of_an_export_are_unwrapped_at_any_depth():
    wrapped = {"a": {"4dab": "1b47", "plaintext": json.dumps({"key": "k"})}, "b": [1, {"c": "d"}]}

    assert plain(wrapped) == {"a": {"key": "k"}, "b": [1, {"c": "d"}]}


def test_the_first_instance_is_the_default():
    assert pick({"chat-1": {"n": 1}, "chat-0": {"n": 0}}, "") == {"n": 0}


@pytest.mark.parametrize(("found", "says"), [({}, "make up"), ({"chat-0": {}}, "the stack has chat-0")])
def test_an_instance_that_is_not_there_is_said(found: dict, says: str):
    with pytest.raises(LogError, match=says):
        pick(found, "chat-9")
