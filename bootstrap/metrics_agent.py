"""Render the configuration of a host's agent and of vmagent, pure."""

import json
import shlex
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reporting:
    """Say to which receiver a host sends its metrics, as which user, and how often. `url` has no path."""

    url: str
    user: str
    password: str = field(repr=False)
    interval_seconds: float = 15.0


def agent_config(kit: str, model: str, digest: str) -> str:
    """Return the text of agent.wanted. It names the kit, because another kit may bring another agent."""
    return json.dumps({"kit": kit, "model": model, "digest": digest}, sort_keys=True, indent=1)


def vmagent_config(kit: str, reporting: Reporting) -> str:
    """Return the text of vmagent.wanted, which vmagent's run script reads as shell."""
    return "\n".join(
        [
            f"# kit {kit}",
            f"URL={shlex.quote(reporting.url.rstrip('/') + '/api/v1/write')}",
            f"METRICS_USER={shlex.quote(reporting.user)}",
            f"INTERVAL={reporting.interval_seconds:g}s",
        ]
    )
