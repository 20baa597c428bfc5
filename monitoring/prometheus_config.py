"""Makes the configuration of Prometheus and Alertmanager. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

# Prometheus accepts samples of a host that catches up after an outage for so long, even behind newer samples.
OUT_OF_ORDER_SECONDS = 30 * 60


def prometheus(
    targets: Mapping[str, str],
    alertmanager: str,
    rules: Sequence[str],
    interval: str = "15s",
    external: Mapping[str, str] | None = None,
    target_files: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return prometheus.yml. `targets`: host:port by job; `rules`: files. Hosts push; Prometheus does not scrape them.

    `target_files`: by job, a file that Prometheus watches for the targets of a job that comes and goes (`target_file`).
    """
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
            "external_labels": dict(external or {}),
        },
        "storage": {"tsdb": {"out_of_order_time_window": f"{OUT_OF_ORDER_SECONDS // 60}m"}},
        "rule_files": list(rules),
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            *({"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()),
            *({"job_name": job, "file_sd_configs": [{"files": [file]}]} for job, file in (target_files or {}).items()),
        ],
    }


def target_file(targets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the content of a file of targets, each host:port."""
    return [{"targets": list(targets)}]


def alertmanager(webhook: str = "", watchdog: str = "") -> dict[str, Any]:
    """Return alertmanager.yml: one receiver, grouped by alert and fleet. Without URLs, Alertmanager only shows alerts.

    `watchdog` gets a message once a minute while alerting works. If the messages stop, the service behind it should call you.
    """
    return {
        "route": {
            "receiver": "operator",
            "group_by": ["alertname", "fleet"],
            "group_wait": "10s",
            "group_interval": "1m",
            "repeat_interval": "4h",
            "routes": [
                {"receiver": "watchdog", "matchers": ['alertname="Watchdog"'], "repeat_interval": "1m"},
            ],
        },
        "receivers": [_receiver("operator", webhook), _receiver("watchdog", watchdog)],
    }


def _receiver(name: str, url: str) -> dict[str, Any]:
    return {"name": name} | ({"webhook_configs": [{"url": url}]} if url else {})
