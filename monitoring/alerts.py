"""The alerts. monitoring/runbooks.md has a section for each of them, with the commands that help.

An alert names the instance or the fleet, the trouble and its cost. `severity`: page (money or service is lost now), ticket
(look today), none (the watchdog).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring import queries

RUNBOOKS = "monitoring/runbooks.md"
HOST = "{{ $labels.name }} (instance {{ $labels.instance_id }})"


@dataclass(frozen=True)
class Alert:
    """One alert. `wait` is the time for which the expression must hold, a PromQL duration."""

    name: str
    expression: str
    wait: str
    severity: str
    summary: str


ALERTS: Sequence[Alert] = (
    Alert(
        "EndpointDown",
        queries.not_serving(),
        "2m",
        "page",
        f"{HOST} is billed and does not serve.",
    ),
    Alert(
        "HostSilent",
        queries.silent_hosts(),
        "2m",
        "page",
        f"{HOST} runs and is billed, and has not reported for {queries.SILENT_SECONDS} s.",
    ),
    Alert(
        "LatencyHigh",
        queries.slow_endpoints(),
        "5m",
        "ticket",
        "The p95 latency of {{ $labels.model_name }} is {{ $value | humanizeDuration }}; it should be under 2 s.",
    ),
    Alert(
        "ProvisioningSlow",
        queries.slow_provisioning(),
        "0s",
        "ticket",
        "{{ $labels.name }} took {{ $value | humanizeDuration }} to serve; it should take under 3 minutes.",
    ),
    Alert(
        "ProvisioningFailing",
        queries.failing(),
        "0s",
        "ticket",
        "{{ $value | humanize }} attempts to bring an instance online failed in the last hour.",
    ),
    Alert(
        "PriceOverCeiling",
        queries.over_ceiling(),
        "5m",
        "ticket",
        f"{HOST} costs ${{{{ $value }}}}/h, more than its fleet's maxUsdPerHour.",
    ),
    Alert(
        "BudgetDay",
        queries.over_budget("day"),
        "10m",
        "ticket",
        "This UTC day will cost ${{ $value | humanize }}, more than its budget.",
    ),
    Alert(
        "BudgetMonth",
        queries.over_budget("month"),
        "1h",
        "ticket",
        "This UTC month will cost ${{ $value | humanize }}, more than its budget.",
    ),
    Alert(
        "SpendDrift",
        queries.drifting(),
        "1h",
        "ticket",
        "The market charges {{ $value | humanizePercentage }} more or less than our own count of the same instances.",
    ),
    Alert(
        "InstanceIdle",
        queries.idle_hosts(),
        "0s",
        "ticket",
        f"{HOST} has had no request for {{{{ $value | humanizeDuration }}}}, and is billed.",
    ),
    Alert(
        "EndStuck",
        queries.stuck_ends(),
        "0s",
        "page",
        f"{HOST} has tried to end itself for {{{{ $value | humanizeDuration }}}} ({{{{ $labels.reason }}}}), and is billed.",
    ),
    Alert(
        "InstanceOrphaned",
        queries.orphans(),
        "10m",
        "page",
        f"{HOST} is billed, and the ledger does not account for it.",
    ),
    Alert(
        "CertificateEnding",
        queries.ending_certificates(),
        "1h",
        "ticket",
        f"The certificate of {HOST} ends in {{{{ $value | humanize }}}} days.",
    ),
    Alert(
        "ContractEnding",
        queries.ending_contracts(),
        "5m",
        "ticket",
        f"The contract of {HOST} ends in {{{{ $value | humanize }}}} hours; then the market stops it.",
    ),
    Alert(
        "DiskFilling",
        queries.full_disks(),
        "10m",
        "ticket",
        f"{HOST} has {{{{ $value | humanizePercentage }}}} of its disk left.",
    ),
    Alert(
        "GpuThrottled",
        queries.throttled_gpus(),
        "10m",
        "ticket",
        f"A GPU of {HOST} runs at a lower clock: {{{{ $labels.reason }}}}.",
    ),
    Alert(
        "GpuBroken",
        queries.broken_gpus(),
        "0s",
        "page",
        f"A GPU of {HOST} has uncorrectable memory errors.",
    ),
    Alert(
        "ClockWrong",
        queries.wrong_clocks(),
        "0s",
        "ticket",
        f"The clock of {HOST} is {{{{ $value | humanize }}}} s behind; a minus means ahead.",
    ),
    Alert(
        "ExporterStale",
        queries.stale_sources(),
        "1m",
        "ticket",
        "The exporter could not read its {{ $labels.source }} for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "ExporterDown",
        queries.no_exporter(),
        "2m",
        "page",
        "The fleet exporter does not answer: rented instances are not watched.",
    ),
    Alert(
        "DoorRefusing",
        queries.refused_samples(),
        "0s",
        "ticket",
        "The receiver refused {{ $value | humanize }} samples of {{ $labels.instance_id }}: {{ $labels.reason }}.",
    ),
    Alert(
        "ControllerSilent",
        queries.silent_controllers(),
        "2m",
        "page",
        "The controller of elastic fleets does not decide: none grows, and idle hosts end when their leases lapse.",
    ),
    Alert(
        "LeaseLapsed",
        queries.lapsed_leases(),
        "2m",
        "ticket",
        "The lease of {{ $labels.name }} is not renewed; it lapsed {{ $value | humanizeDuration }} ago. "
        "The host ends itself once it is idle.",
    ),
    Alert(
        "DesiredNotReached",
        queries.not_reached(),
        "15m",
        "ticket",
        "{{ $labels.fleet }} should have {{ $value | humanize }} instances, and fewer have served for 15 minutes.",
    ),
    Alert(
        "SlotNotEnding",
        queries.not_ending(),
        "30m",
        "ticket",
        "{{ $value | humanize }} slots of {{ $labels.fleet }} should have ended half an hour ago. Each may still cost money.",
    ),
    Alert(
        "FleetAtMaximum",
        queries.at_maximum(),
        "30m",
        "ticket",
        "{{ $labels.fleet }} has been at its maximum of {{ $value | humanize }} instances for half an hour.",
    ),
    Alert(
        "FleetFlapping",
        queries.flapping(),
        "0s",
        "ticket",
        "{{ $labels.fleet }} grew {{ $value | humanize }} times within an hour, and shrank as often. Each start is paid.",
    ),
    Alert(
        "SpendStopped",
        queries.spend_stopped(),
        "2m",
        "ticket",
        "The budget keeps {{ $labels.fleet }} from renting the instances that it needs.",
    ),
    Alert(
        "Watchdog",
        "vector(1)",
        "0s",
        "none",
        "This alert always fires. If you stop receiving it, repair the alerting itself.",
    ),
)


def document(runbooks: str = RUNBOOKS) -> dict[str, Any]:
    """Return the rule file with every alert. `runbooks` is the URL or path of the page of runbooks."""
    return {"groups": [{"name": "gpu-fleet-alerts", "rules": [_rule(alert, runbooks) for alert in ALERTS]}]}


def _rule(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": f"{runbooks}#{alert.name.lower()}"},
    }
