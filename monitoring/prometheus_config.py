"""Configuration of Prometheus and Alertmanager, pure."""

from collections.abc import Mapping, Sequence
from typing import Any

# Late pushes of a host that catches up after an outage are taken for so long; newer ones may be there already.
OUT_OF_ORDER_SECONDS = 30 * 60


def prometheus(
    targets: Mapping[str, str],
    alertmanager: str,
    rules: Sequence[str],
    interval: str = "15s",
    external: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return prometheus.yml. `targets`: host:port by job; `rules`: files. Hosts are not scraped: they push."""
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
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
    }


def alertmanager(webhook: str = "", watchdog: str = "") -> dict[str, Any]:
    """Return alertmanager.yml: one receiver, grouped by alert and fleet. Without URLs it only shows what fires.

    `watchdog` is told once a minute that alerting lives; who hears nothing from it must call somebody.
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
