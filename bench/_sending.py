"""Eight senders that write as fast as they are answered, each as many series as a host of ours."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from monitoring.receiver.app import HEADERS, PATH
from monitoring.receiver.wire import Written, pack

SENDERS, SERIES, ROUNDS = 8, 120, 60  # 120 series is what a host of ours writes


def rate(client: Callable[[int], httpx.Client], mark: str) -> float:
    """Return how many samples a second all senders together get in; each goes as fast as it is answered."""
    start = time.time() - ROUNDS

    def send(number: int) -> None:
        with client(number) as http:
            for step in range(ROUNDS):
                post(http, [row(mark, number, series, start + step) for series in range(SERIES)])

    began = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, range(SENDERS)))
    return SENDERS * SERIES * ROUNDS / (time.monotonic() - began)


def row(mark: str, sender: int, series: int, at: float) -> Written:
    """Return one sample of a series like vLLM's histograms have."""
    labels = {
        "__name__": "vllm:e2e_request_latency_seconds_bucket",
        "engine": "0",
        "instance": f"{mark}-{sender}",
        "job": "vllm",
        "le": str(series),
        "model_name": "tiny",
    }
    return Written(tuple(labels.items()), ((1.0, int(at * 1000)),))


def post(http: httpx.Client, rows: list[Written]) -> None:
    """Write samples, and end where they are refused."""
    reply = http.post(PATH, content=pack(rows), headers=HEADERS)
    if reply.status_code != 204:
        raise SystemExit(f"{reply.status_code} {reply.text}")
