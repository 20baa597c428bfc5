"""Makes docs/report.png: the report over an hour of a fleet of three instances, drawn by a real Prometheus and a browser.

The exporter's own collector makes the fleet's series from events, instances and charges. The hosts' series are generated:
a load that rises and falls, and latencies to match.
"""

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monitoring.exporter.collector import FleetCollector, MetricTerms
from monitoring.exporter.sources import PHASES, Sources
from monitoring.prometheus import Prometheus
from monitoring.report.drawing import report
from monitoring.report.page import render
from providers.ledger.event import Event, Reason
from providers.vast.api.instance import Instance
from providers.vast.api.responses import Charge
from tests.doubles.browser import picture
from tests.doubles.ledger_events import charge, event, instance
from tests.doubles.prometheus import with_series

TARGET = Path(__file__).resolve().parents[1] / "docs" / "report.png"
STEP, STEPS = 15, 240
WIDTH, HEIGHT = 1180, 1130
FLEET = (("chat-0", 0.402, ", US"), ("chat-1", 0.389, "Sweden, SE"), ("chat-2", 0.431, "Bulgaria, BG"))
SECONDS = (1.4, 31.0, 4.1, 3.2, 6.0, 24.0, 25.0, 0.6)  # of each phase, of an instance like any other
EDGES = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0)
Sample = tuple[str, float, int]


def main() -> None:
    """Write the picture."""
    now = int(time.time())
    samples = sorted({*fleet_samples(now), *host_samples(now)}, key=lambda one: (one[0], one[2]))
    text = "".join(f"{series} {value!r} {at}\n" for series, value, at in samples)
    with tempfile.TemporaryDirectory() as folder, with_series(Path(folder), text) as url:
        found = report(Prometheus(url), "Prometheus", now - STEP * STEPS, now, "1h")
        page = render(found)
        shutil.copy(picture(page, Path(folder), WIDTH, HEIGHT), TARGET)
    for word, name, measured, _ in found.verdicts:
        print(f"{word:8} {name}: {measured}")
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


def fleet_samples(now: int) -> Iterator[Sample]:
    """Yield the exporter's series: what a scrape would have shown every minute of the hour."""
    began = now - STEP * STEPS - 600
    events = [one for number in range(len(FLEET)) for one in came_online(number, began + 40 * number)]
    rows = [
        instance(number + 1, name, machine_id=7000 + 31 * number, geolocation=place, dph_total=usd)
        for number, (name, usd, place) in enumerate(FLEET)
    ]
    for at in range(now - STEP * STEPS, now + 1, 60):
        yield from scraped(events, rows, at)


def scraped(events: list[Event], rows: list[Instance], at: int) -> Iterator[Sample]:
    """Yield one scrape of the exporter at a moment (unix seconds)."""
    charges: list[Charge] = []
    for row in rows:
        since = at - (at % 3600) - 7200
        hours = (at - since) / 3600
        charges.append(charge(row.id, since, at, {"gpu": hours * (row.dph_total or 0) * 0.93, "disk": hours * 0.028}))
    unused = {2: 900.0}
    sources = Sources(lambda: events, lambda: rows, lambda: charges, lambda: unused)
    terms = MetricTerms(
        [reason.value for reason in Reason], 300.0, day_usd=60.0, month_usd=1500.0, ceilings={"chat": 0.5}
    )
    collector = FleetCollector(sources, terms, lambda: at)
    collector.learn()
    for family in collector.collect():
        for sample in family.samples:
            labels = {**sample.labels, "job": "exporter", "instance": "exporter:9101"}
            yield series(sample.name, labels), float(sample.value), at
    yield 'up{job="exporter",instance="exporter:9101"}', 1.0, at


def came_online(number: int, began: float) -> list[Event]:
    """Return the events of the attempt that brought an instance online."""
    name = FLEET[number][0]
    known = {"attempt": f"{number + 1:x}", "name": name, "instance_id": number + 1, "machine_id": 7000 + 31 * number}
    took = [seconds * (1 + 0.13 * number) for seconds in SECONDS]
    measured = dict(zip(PHASES, took, strict=True))
    total = sum(took)
    return [
        event(began, "rented", seconds=took[0]).model_copy(update=known),
        event(began + total, "served", seconds=total, phases=measured).model_copy(update=known),
    ]


def host_samples(now: int) -> Iterator[Sample]:
    """Yield the series of agent and vLLM of each host."""
    for number, (name, _usd, _place) in enumerate(FLEET):
        who = {"instance_id": str(number + 1), "name": name, "fleet": "chat", "stack_id": "stack"}
        yield from one_host(number, who, now)


def one_host(number: int, who: dict[str, str], now: int) -> Iterator[Sample]:
    """Yield the series of one host over the hour."""
    agent, engine = {**who, "job": "agent"}, {**who, "job": "vllm", "model_name": "llama-3.1-8b"}
    requests = prompt = generated = 0.0
    for step in range(STEPS + 1):
        at = now - (STEPS - step) * STEP
        load = 0.55 + 0.35 * math.sin(step / 38 + number * 0.7) + 0.06 * math.sin(step / 3.1 + number)
        requests += load * 1.6 * STEP
        prompt, generated = prompt + load * 620 * STEP, generated + load * 240 * STEP
        gauges = {
            "vast_instance_idle_seconds": 0.0,
            "vast_gpu_utilization_ratio": min(0.99, 0.25 + 0.7 * load),
            "vast_gpu_memory_used_bytes": 21.6e9,
            "vast_gpu_memory_total_bytes": 24e9,
            "vast_gpu_temperature_celsius": 48 + 21 * load,
            "vast_disk_free_bytes": 21e9,
            "vast_disk_total_bytes": 48e9,
            "vast_certificate_end_timestamp_seconds": now + 86400.0 * (61 + number),
        }
        for metric, value in gauges.items():
            yield series(metric, {**agent, "uuid": f"GPU-{number}"}), value, at
        yield series("vast_instance_state", {**agent, "state": "ready"}), 1.0, at
        yield series("vast_model_info", {**agent, "model": "llama-3.1-8b", "digest": "d"}), 1.0, at
        yield series("vllm:prompt_tokens_total", engine), round(prompt), at
        yield series("vllm:generation_tokens_total", engine), round(generated), at
        yield series("vllm:request_success_total", {**engine, "finished_reason": "stop"}), round(requests), at
        yield series("vllm:num_requests_running", engine), round(9 * load), at
        yield series("vllm:num_requests_waiting", engine), max(0.0, round(4 * load - 3)), at
        yield series("vllm:kv_cache_usage_perc", engine), 0.1 + 0.5 * load, at
        yield (
            series("http_requests_total", {**engine, "handler": "/v1/chat/completions", "status": "2xx"}),
            requests,
            at,
        )
        for metric, slow in (("vllm:e2e_request_latency_seconds", 1.0), ("vllm:time_to_first_token_seconds", 0.2)):
            for edge in EDGES:
                share = 1 - math.exp(-edge / (0.42 * slow))
                yield series(f"{metric}_bucket", {**engine, "le": str(edge)}), round(requests * share), at
            yield series(f"{metric}_bucket", {**engine, "le": "+Inf"}), round(requests), at
            yield series(f"{metric}_count", engine), round(requests), at


def series(name: str, labels: dict[str, str]) -> str:
    """Return a series as OpenMetrics writes it."""
    return f"{name}{{{','.join(f'{key}={chr(34)}{value}{chr(34)}' for key, value in sorted(labels.items()))}}}"


if __name__ == "__main__":
    main()
