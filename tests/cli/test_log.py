"""`gpu-fleet log`: which instance, secrets out of state only for this process, and no waiting where nobody listens."""

import socket
import time

import pytest

from cli.errors import CommandError
from cli.log import CONNECT_SECONDS, tail


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
        f"no server answers for chat-0 at {where} (Connection refused): "
        "`gpu-fleet sandbox status` says what runs, `make up` brings it back"
    )
