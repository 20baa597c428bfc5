"""What reporting costs: the door against Prometheus without it, and on a host the memory and processor of agent and vmagent,
with the way of a request to its point in Prometheus at a scrape every 5 s. Everything shares this machine's cores.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from bench._figures import figure, percentile
from bench._reporting import reporting_host
from monitoring.door.app import HEADERS, PATH
from monitoring.door.wire import Written, pack
from monitoring.prometheus import Prometheus
from providers.identity.reporting import Reporter
from sandbox.services.monitoring import Monitoring
from sandbox.settings import STACK_CONFIG
from tests.doubles.door import Reports
from tests.doubles.rented import Rented

SENDERS, SERIES, ROUNDS = 8, 120, 60  # 120 series is what a host of ours writes
PROBES = 60
IDLE_SECONDS = 60


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name:
        folder = Path(name)
        with Monitoring(folder / "monitoring", STACK_CONFIG) as monitoring:
            throughput(monitoring, folder)
            with reporting_host(monitoring, folder) as rented:
                measure(monitoring, rented)


def throughput(monitoring: Monitoring, folder: Path) -> None:
    """Compare samples a second through the door with samples a second into Prometheus itself."""
    ca = folder / "ca.pem"
    ca.write_text(monitoring.ca_pem)
    senders = [Reports(monitoring.urls["door"], ca, Reporter(str(n), f"chat-{n}", "abc")) for n in range(SENDERS)]

    def through_the_door(number: int) -> httpx.Client:
        return senders[number].client()

    def straight(_number: int) -> httpx.Client:
        return httpx.Client(base_url=monitoring.urls["prometheus"])

    bare = rate(straight, "bare")
    door = rate(through_the_door, "door")
    print(
        f"{bare:,.0f} samples a second into Prometheus, {door:,.0f} through the door; {SENDERS} senders of {SERIES} series"
    )
    figure("samples a second through the door over Prometheus without it", door / bare, "", 0.1, "more")
    figure(
        "samples a second through the door, hosts of 120 series every 15 s", door / (SERIES / 15), "hosts", 1000, "more"
    )


def rate(client: Callable[[int], httpx.Client], mark: str) -> float:
    """Return how many samples a second all senders together get in; each goes as fast as it is answered."""
    start = time.time() - ROUNDS

    def send(number: int) -> None:
        with client(number) as http:
            for step in range(ROUNDS):
                body = pack([row(mark, number, series, start + step) for series in range(SERIES)])
                reply = http.post(PATH, content=body, headers=HEADERS)
                if reply.status_code != 204:
                    raise SystemExit(f"{mark}: {reply.status_code} {reply.text}")

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


def measure(monitoring: Monitoring, rented: Rented) -> None:
    """Print the figures of a host that reports."""
    prometheus = Prometheus(monitoring.urls["prometheus"])
    counted = 'sum(vllm:e2e_request_latency_seconds_count{instance_id="4711"})'
    while prometheus.number(counted) is None:
        time.sleep(0.2)
    delays = []
    for _ in range(PROBES):
        before = prometheus.number(counted) or 0
        rented.ask()
        began = time.monotonic()
        while (prometheus.number(counted) or 0) <= before:
            time.sleep(0.02)
        delays.append(time.monotonic() - began)
        time.sleep(0.37)  # the next one asks right after a scrape: what is measured is the longest way, not the mean
    figure("request to its point in Prometheus, scrape every 5 s, p50", percentile(delays, 0.5), "s", 10)
    figure("request to its point in Prometheus, scrape every 5 s, p99", percentile(delays, 0.99), "s", 15)
    series = prometheus.number('count({instance_id="4711",job=~"agent|vllm"})') or 0
    figure("series a host, with vLLM's double", series, "", 300)
    processes = "pgrep -f 'monitoring[.]agent|bin/[v]magent'"
    sizes = rented.run(f"for p in $({processes}); do grep ^Pss: /proc/$p/smaps_rollup; done").splitlines()
    figure("memory of agent and vmagent on a host (PSS)", sum(int(one.split()[1]) for one in sizes) / 1000, "MB", 64)
    ticks = lambda: sum(  # noqa: E731
        int(line)
        for line in rented.run(
            f"for p in $({processes}); do cut -d' ' -f14,15 /proc/$p/stat | tr ' ' '\\n'; done"
        ).split()
    )
    before, began = ticks(), time.monotonic()
    threading.Event().wait(IDLE_SECONDS)
    spent = (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
    figure("processor of agent and vmagent on a host, scrape every 5 s", spent * 100, "% of a core", 2)


if __name__ == "__main__":
    main()
