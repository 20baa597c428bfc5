"""For all rooms: tests of the real vLLM run one after another, on one worker."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two real vLLMs at once are slower than one after the other, and need twice the memory: one worker gets them
    all."""
    for item in items:
        if item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.xdist_group("vllm"))
