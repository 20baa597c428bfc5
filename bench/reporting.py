"""What reporting costs: the door against Prometheus without it, and on a host the memory and processor of agent and vmagent,
with the way of a request to its point in Prometheus at a scrape every 5 s. Everything shares this machine's cores.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from bench._figures import figure, percentile
from bench._reporting import reporting_host
from bench._sending import SENDERS, SERIES, rate
from monitoring.prometheus import Prometheus
from providers.identity.metrics_credentials import Reporter
from sandbox.services.monitoring import Monitoring
from sandbox.settings import STACK_CONFIG
from tests.doubles.receiver import Reports
from tests.doubles.rented import Rented

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
