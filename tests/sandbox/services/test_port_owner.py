"""Who has a port, as the kernel of this machine says it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from sandbox.services.port_owner import port_owner, taken


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6])
def listening(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket(request.param) as bound:
        bound.bind(("127.0.0.1" if request.param == socket.AF_INET else "::1", 0))
        bound.listen()
        yield int(bound.getsockname()[1])


def test_the_process_that_listens_is_named(listening):
    assert port_owner(listening).startswith(f"process {os.getpid()} (")


def test_a_port_that_is_only_bound_has_no_holder():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert port_owner(bound.getsockname()[1]) == ""


def test_without_a_look_at_processes_nobody_is_named(listening, tmp_path):
    assert port_owner(listening, tmp_path) == ""


def test_the_sentence_says_who_and_what_to_do(listening):
    sentence = taken(listening, "the market", "choose another")
    assert sentence.startswith(f"Port {listening} is in use by process {os.getpid()} (")
    assert sentence.endswith("and the market is to listen there. End that process, or choose another.")
