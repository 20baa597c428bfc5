"""For all rooms: tests of the real vLLM run one after another, on one worker; properties are tried on the same examples
each time, without a clock. `--hypothesis-profile=search` looks for new ones."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

SLOW_MACHINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **SLOW_MACHINE)
settings.register_profile("search", max_examples=2000, **SLOW_MACHINE)
settings.load_profile("same")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two real vLLMs at once are slower than one after the other, and need twice the memory: one worker gets them
    all."""
    for item in items:
        if item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.xdist_group("vllm"))
