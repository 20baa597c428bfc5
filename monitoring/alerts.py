"""What somebody must know, each with the page of monitoring/runbooks.md that says what to do.

An alert names the instance or the fleet, what is wrong and what it costs; `severity`: page (money or service is lost now),
ticket (look today), none (the watchdog).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring import queries

RUNBOOKS = "monitoring/runbooks.md"
HOST = "{{ $labels.name }} (instance {{ $labels.instance_id }})"


@dataclass(frozen=True)
class Alert:
    """One alert. `wait` is how long the expression must hold, a PromQL duration."""

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
        "This UTC day will have cost ${{ $value | humanize }} when it ends, more than its budget.",
    ),
    Alert(
        "BudgetMonth",
        queries.over_budget("month"),
        "1h",
        "ticket",
        "This UTC month will have cost ${{ $value | humanize }} when it ends, more than its budget.",
    ),
    Alert(
        "InstanceIdle",
        queries.idle_hosts(),
        "0s",
        "ticket",
        f"{HOST} has served nobody for {{{{ $value | humanizeDuration }}}}, and is billed all the same.",
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
        f"A GPU of {HOST} is slowed down: {{{{ $labels.reason }}}}.",
    ),
    Alert(
        "GpuBroken",
        queries.broken_gpus(),
        "0s",
        "page",
        f"A GPU of {HOST} has memory errors that could not be corrected.",
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
        "The fleet exporter does not answer: nobody watches what is rented.",
    ),
    Alert(
        "DoorRefusing",
        queries.refused_samples(),
        "0s",
        "ticket",
        "The door refused {{ $value | humanize }} samples or requests of {{ $labels.instance_id }}: {{ $labels.reason }}.",
    ),
    Alert(
        "Watchdog",
        "vector(1)",
        "0s",
        "none",
        "Always firing: who no longer hears it must look after the alerting itself.",
    ),
)


def document(runbooks: str = RUNBOOKS) -> dict[str, Any]:
    """Return the rule file with every alert. `runbooks` is where its page can be read, a URL or a path."""
    return {"groups": [{"name": "gpu-fleet-alerts", "rules": [_rule(alert, runbooks) for alert in ALERTS]}]}


def _rule(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": f"{runbooks}#{alert.name.lower()}"},
    }
