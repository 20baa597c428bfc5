"""Serves a few of vLLM's metric families, with vLLM's names and labels and with values that change."""

import time
from collections import Counter
from dataclasses import dataclass, field

BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass
class Histogram:
    """Counts of seconds by upper bound, with their sum."""

    counts: Counter[float] = field(default_factory=Counter)
    total: float = 0.0
    number: int = 0

    def observe(self, seconds: float) -> None:
        """Add one observation."""
        self.total += seconds
        self.number += 1
        for bound in BUCKETS:
            if seconds <= bound:
                self.counts[bound] += 1

    def lines(self, name: str, labels: str) -> list[str]:
        """Return the family in the text format."""
        buckets = [f'{name}_bucket{{{labels},le="{bound}"}} {self.counts[bound]}' for bound in BUCKETS]
        infinite = f'{name}_bucket{{{labels},le="+Inf"}} {self.number}'
        ends = [f"{name}_sum{{{labels}}} {self.total}", f"{name}_count{{{labels}}} {self.number}"]
        return [f"# TYPE {name} histogram", *buckets, infinite, *ends]


class Metrics:
    """The counters of the server. `model` becomes the label model_name."""

    def __init__(self, model: str) -> None:
        self._labels = f'engine="0",model_name="{model}"'
        self.running = 0
        self.waiting = 0
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.finished: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.end_to_end = Histogram()
        self.first_token = Histogram()
        self.queue = Histogram()

    def text(self) -> str:
        """Return everything in Prometheus's text format."""
        labels = self._labels
        lines = []
        for name, kind, value in (
            ("vllm:num_requests_running", "gauge", float(self.running)),
            ("vllm:num_requests_waiting", "gauge", float(self.waiting)),
            ("vllm:kv_cache_usage_perc", "gauge", min(1.0, self.running / 256)),
            ("vllm:num_preemptions_total", "counter", 0.0),
            ("vllm:prompt_tokens_total", "counter", float(self.prompt_tokens)),
            ("vllm:generation_tokens_total", "counter", float(self.generation_tokens)),
            ("vllm:prefix_cache_queries_total", "counter", float(self.prompt_tokens)),
            ("vllm:prefix_cache_hits_total", "counter", 0.0),
        ):
            lines += [f"# TYPE {name} {kind}", f"{name}{{{labels}}} {value}"]
        lines.append("# TYPE vllm:request_success_total counter")
        for reason in ("stop", "length", "abort", "error", "repetition"):
            value = float(self.finished[reason])
            lines.append(f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {value}')
        for family, histogram in (
            ("vllm:e2e_request_latency_seconds", self.end_to_end),
            ("vllm:time_to_first_token_seconds", self.first_token),
            ("vllm:request_queue_time_seconds", self.queue),
        ):
            lines += histogram.lines(family, labels)
        lines.append("# TYPE http_requests_total counter")
        for (handler, method, status), number in sorted(self.requests.items()):
            named = f'handler="{handler}",method="{method}",status="{status}"'
            lines.append(f"http_requests_total{{{named}}} {float(number)}")
        lines += ["# TYPE process_cpu_seconds_total counter", f"process_cpu_seconds_total {time.process_time()}"]
        return "\n".join(lines) + "\n"
