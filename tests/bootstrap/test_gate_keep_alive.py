"""vLLM closes connections that were idle; the gate closes them first, so that no request meets one that just closes.

In scaled time: the gate's 4 s are 100 ms here, and vLLM's 20 s (75 s in truth) are 500 ms.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bootstrap.gate import ENGINE_IDLE
from bootstrap.rendered_config import ENVIRONMENT
from config.vllm_options import LEAST_KEEP_ALIVE
from tests.doubles.gate import CLOSING_S, TOKEN, Gate, running_gate

pytestmark = pytest.mark.service

CLIENTS, EACH = 50, 20
ENGINE_S = 0.5


def test_the_gate_closes_idle_connections_before_any_vllm_does() -> None:
    gate_seconds = float(ENGINE_IDLE.removesuffix("s"))

    assert gate_seconds < LEAST_KEEP_ALIVE < int(ENVIRONMENT["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"])


def test_a_thousand_spaced_posts_get_no_502(tmp_path: Path) -> None:
    with running_gate(tmp_path, ENGINE_S, engine_idle="100ms") as gate:
        gate.open()
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = [
                status for each in pool.map(lambda seed: spaced_posts(gate, seed), range(CLIENTS)) for status in each
            ]

    assert len(answers) == CLIENTS * EACH
    assert [status for status in answers if status != 200] == []


def spaced_posts(gate: Gate, seed: int) -> list[int]:
    """Post again just when the engine closes the connection of the post before, a few milliseconds sooner or later."""
    spread = random.Random(seed)
    found = []
    with gate.client() as client:
        for _ in range(EACH):
            answer = client.post("/v1/completions", json={}, headers={"Authorization": f"Bearer {TOKEN}"})
            found.append(answer.status_code)
            time.sleep(ENGINE_S + spread.uniform(-CLOSING_S, CLOSING_S))
    return found
