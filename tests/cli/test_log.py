"""`gpu-fleet log`: which instance, secrets out of state only for this process, and no waiting where nobody listens."""

import json
import socket
import time

import pytest

from cli.errors import CommandError
from cli.log import CONNECT_SECONDS, pick, plain, tail


def test_secrets_of_an_export_are_unwrapped_at_any_depth():
    wrapped = {"a": {"4dab": "1b47", "plaintext": json.dumps({"key": "k"})}, "b": [1, {"c": "d"}]}

    assert plain(wrapped) == {"a": {"key": "k"}, "b": [1, {"c": "d"}]}


def test_the_first_instance_is_the_default():
    assert pick({"chat-1": {"n": 1}, "chat-0": {"n": 0}}, "", "local") == {"n": 0}


@pytest.mark.parametrize(("found", "says"), [({}, "make up"), ({"chat-0": {}}, "the stack has chat-0")])
def test_an_instance_that_is_not_there_is_said(found: dict, says: str):
    with pytest.raises(CommandError, match=says):
        pick(found, "chat-9", "local")


def test_a_refused_connection_is_one_sentence_at_once():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        where = f"127.0.0.1:{bound.getsockname()[1]}"
        outputs = {"name": "chat-0", "ssh": where, "access": {"sshPrivateKey": "unused"}, "hostKey": "SHA256:unused"}
        began = time.monotonic()
        with pytest.raises(CommandError) as caught:
            tail(outputs, "vllm", 50, "local")
    assert time.monotonic() - began < CONNECT_SECONDS / 3
    assert str(caught.value) == (
        f"nobody answers for chat-0 at {where} (Connection refused): "
        "`gpu-fleet sandbox status` says what runs, `make up` brings it back"
    )
