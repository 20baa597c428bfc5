"""Collects the agent's metrics; their names are fixed. Each scrape reads the sources, because only vmagent scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitoring.agent import machine
from monitoring.agent.activity import Activity
from monitoring.agent.gpus import Gpus
from monitoring.agent.own_end import OwnEnd
from monitoring.agent.state import STATES, State
from monitoring.metric_families import Samples, counters, gauges


class HostCollector(Collector):
    """`settings` come from the bootstrap: the model and its digest. `certificate_end` returns unix seconds, or None.

    `phases` returns the seconds of each phase of the bootstrap, `own_end` what is known of an end by the host itself.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        activity: Activity,
        state: State,
        gpus: Gpus,
        certificate_end: Callable[[], float | None],
        phases: Callable[[], Mapping[str, float]],
        folder: Path = Path("/workspace"),
        own_end: Callable[[], OwnEnd | None] = lambda: None,
    ) -> None:
        self._settings, self._activity, self._state, self._gpus = settings, activity, state, gpus
        self._certificate_end, self._phases, self._folder = certificate_end, phases, folder
        self._own_end = own_end

    def collect(self) -> Iterable[Metric]:
        """Return every family. An unknown value is left out; it is never shown as 0."""
        now = self._state.look()
        self._activity.look(now == "ready")
        yield gauges(
            "vast_instance_state", "1 for the state of the endpoint.", ("state",), {(s,): s == now for s in STATES}
        )
        yield from self._activity_families()
        yield from own_end_families(self._own_end())
        model = (self._settings.get("model", ""), self._settings.get("digest", ""))
        yield gauges(
            "vast_model_info",
            "1 for the served model, by its manifest's digest.",
            ("model", "digest"),
            {model: 1},
        )
        yield gauges(
            "vast_certificate_end_timestamp_seconds",
            "When the gate's certificate ends.",
            (),
            one(self._certificate_end()),
        )
        took = {(phase,): seconds for phase, seconds in self._phases().items()}
        yield gauges(
            "vast_instance_bootstrap_seconds", "Duration of each phase of the last bootstrap.", ("phase",), took
        )
        yield from self._machine_families()
        yield from gpu_families(self._gpus.look())

    def _activity_families(self) -> Iterator[Metric]:
        seen = self._activity
        yield gauges("vast_instance_inflight_requests", "Requests under way.", (), one(seen.in_flight))
        yield gauges(
            "vast_instance_last_request_timestamp_seconds", "Moment of the last request.", (), one(seen.last_at)
        )
        yield gauges("vast_instance_idle_seconds", "Seconds since the last request.", (), one(seen.idle_seconds))
        yield counters(
            "vast_instance_unused_seconds",
            "Seconds ready and unused, without the five minutes after each request.",
            (),
            one(seen.unused_seconds),
        )
        ended = {(code,): count for code, count in {"200": 0, **seen.requests}.items()}
        yield counters(
            "vast_instance_admitted_requests", "Requests that the gate let in, at their end.", ("code",), ended
        )

    def _machine_families(self) -> Iterator[Metric]:
        free, total = machine.disk(self._folder)
        yield gauges("vast_disk_free_bytes", "Free on the disk of the weights.", (), one(free))
        yield gauges("vast_disk_total_bytes", "Size of that disk.", (), one(total))
        available, everything = machine.memory(machine.read("/proc/meminfo"))
        yield gauges("vast_memory_available_bytes", "Available memory of the machine.", (), one(available))
        yield gauges("vast_memory_total_bytes", "Memory of the machine.", (), one(everything))
        busy, _ = machine.processors(machine.read("/proc/stat") or "cpu 0 0 0 0 0 0 0 0")
        yield counters("vast_cpu_busy_seconds", "Busy seconds of all processors of the machine.", (), one(busy))
        moved = {(way,): count for way, count in machine.network(machine.read("/proc/net/dev")).items()}
        yield counters("vast_network_bytes", "Bytes over the network, which the market bills.", ("direction",), moved)


def own_end_families(found: OwnEnd | None) -> Iterator[Metric]:
    """Return the families of a host that may end itself; without values for any other host."""
    ending = {(found.why,): found.seconds} if found and found.why else {}
    yield gauges(
        "vast_instance_ending_seconds", "Time for which the host has tried to end itself.", ("reason",), ending
    )
    left = one(found.lease if found else None)
    yield gauges("vast_instance_lease_remaining_seconds", "Time until the lease lapses, below 0 since.", (), left)


def gpu_families(gpus: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Return the families of the GPUs. A family has no values if no GPU reports it."""
    names = ("uuid", "name", "driver")
    infos = {tuple(gpu.get(name, "") for name in names): 1 for gpu in gpus}
    yield gauges("vast_gpu_info", "1 for each GPU that answers.", ("uuid", "gpu_name", "driver"), infos)
    known = {
        "utilization": ("vast_gpu_utilization_ratio", "Share of time in which a kernel ran."),
        "memory_used": ("vast_gpu_memory_used_bytes", "Memory in use."),
        "memory_total": ("vast_gpu_memory_total_bytes", "Size of the memory."),
        "celsius": ("vast_gpu_temperature_celsius", "Temperature."),
        "watts": ("vast_gpu_power_watts", "Power drawn."),
        "watts_limit": ("vast_gpu_power_limit_watts", "Limit of the power."),
    }
    for key, (name, text) in known.items():
        yield gauges(name, text, ("uuid",), {(gpu["uuid"],): gpu[key] for gpu in gpus if key in gpu})
    errors = {(gpu["uuid"], kind): gpu[kind] for gpu in gpus for kind in ("corrected", "uncorrected") if kind in gpu}
    yield counters("vast_gpu_ecc_errors", "Memory errors since the driver was loaded.", ("uuid", "type"), errors)
    held = {(gpu["uuid"], why): on for gpu in gpus for why, on in gpu.get("throttled", {}).items()}
    yield gauges(
        "vast_gpu_throttle_active", "1 while the clock is held down for this reason.", ("uuid", "reason"), held
    )


def one(value: float | None) -> Samples:
    """Return the one value of a family without labels; no value if it is unknown."""
    return {} if value is None else {(): value}
