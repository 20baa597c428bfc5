"""The compile cache on its way from a host and onto the next, over SSH. The double of vLLM compiles nothing, so a file stands
for what it would have made.
"""

import contextlib

import pytest

from bootstrap.spec import CACHE_FOLDER
from bootstrap.warm_cache import bring, take, unfit
from tests.doubles.rented import Rented, Things

pytestmark = pytest.mark.host


def test_a_cache_is_taken_and_brought_before_the_next_start(fresh: Rented, things: Things) -> None:
    graph = f"{CACHE_FOLDER}/torch_compile_cache/abc/graph.py"
    fresh.run(f"mkdir -p $(dirname {graph}) && echo compiled > {graph}")
    with contextlib.closing(fresh.login()) as host:
        archive = take(host, "chat-0")
    assert unfit(archive, []) == ""
    fresh.run(f"rm -rf {CACHE_FOLDER}")
    things.warm["archive"] = archive
    try:
        fresh.converge(warm_start=True)
    finally:
        things.warm.clear()

    assert fresh.run(f"cat {graph}") == "compiled"
    assert any("compile cache of an earlier start" in line for line in fresh.reported)
    assert fresh.facts().vllm_healthy


def test_nothing_compiled_is_nothing_taken(fresh: Rented) -> None:
    with contextlib.closing(fresh.login()) as host:
        assert take(host, "chat-0") == b""


def test_a_damaged_archive_is_said_and_left_out(fresh: Rented, things: Things) -> None:
    things.warm["archive"] = b"\x1f\x8b is how one begins"
    try:
        fresh.converge(warm_start=True)
    finally:
        things.warm.clear()

    assert any("is not used: it is no whole archive" in line for line in fresh.reported)
    assert fresh.facts().vllm_healthy


def test_a_second_bringing_replaces_the_first(fresh: Rented) -> None:
    with contextlib.closing(fresh.login()) as host:
        for word in ("first", "second"):
            fresh.run(
                f"mkdir -p {CACHE_FOLDER}/torch_compile_cache && echo {word} > {CACHE_FOLDER}/torch_compile_cache/{word}"
            )
            archive = take(host, "chat-0")
            fresh.run(f"rm -rf {CACHE_FOLDER}")
            bring(host, "chat-0", archive)
            fresh.run(f"rm {CACHE_FOLDER}/torch_compile_cache/{word}")
        bring(host, "chat-0", archive)

    assert fresh.run(f"ls {CACHE_FOLDER}/torch_compile_cache") == "second"
