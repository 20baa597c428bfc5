"""Recording rules: frequent and expensive queries, stored under names with colons."""

from typing import Any

from monitoring import queries

RECORDED = {
    "fleet:latency_seconds:p95": queries.latency(0.95),
    "fleet:first_token_seconds:p95": queries.first_token(0.95),
    "fleet:tokens:rate5m": queries.generated_tokens(),
    "fleet:usd_per_hour:sum": queries.usd_per_hour(),
    "fleet:usd_per_million_tokens:1h": queries.usd_per_million_tokens(),
}


def document(interval: str = "30s") -> dict[str, Any]:
    """Return the rule file with every recording rule."""
    rules = [{"record": name, "expr": expression} for name, expression in RECORDED.items()]
    return {"groups": [{"name": "gpu-fleet-records", "interval": interval, "rules": rules}]}
