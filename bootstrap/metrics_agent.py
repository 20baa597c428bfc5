"""How a host reports: what is written for its agent and for vmagent, pure."""

import json
import shlex
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reporting:
    """Where a host sends its metrics, as whom, and how often. `url` is the receiver's, without a path."""

    url: str
    user: str
    password: str = field(repr=False)
    interval_seconds: float = 15.0


def agent_config(kit: str, model: str, digest: str) -> str:
    """Return the text of agent.wanted. Another kit may bring another agent, so it is part of it."""
    return json.dumps({"kit": kit, "model": model, "digest": digest}, sort_keys=True, indent=1)


def vmagent_config(kit: str, reporting: Reporting) -> str:
    """Return the text of vmagent.wanted, which its run script reads as shell."""
    return "\n".join(
        [
            f"# kit {kit}",
            f"URL={shlex.quote(reporting.url.rstrip('/') + '/api/v1/write')}",
            f"METRICS_USER={shlex.quote(reporting.user)}",
            f"INTERVAL={reporting.interval_seconds:g}s",
        ]
    )
