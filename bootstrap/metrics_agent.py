"""Render the configuration of a host's agent and of vmagent, pure."""

import hashlib
import json
import shlex
from dataclasses import dataclass, field

CA = "/opt/gpu-fleet/etc/metrics.ca"  # the receiver's authority, on the host


@dataclass(frozen=True)
class Reporting:
    """Say to which receiver a host sends its metrics, as which user, and how often. `url` has no path.

    `ca`: the authority that certified the receiver, PEM; empty if the receiver's certificate is a public one.
    """

    url: str
    user: str
    password: str = field(repr=False)
    interval_seconds: float = 15.0
    ca: str = ""


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
            # Go and Python read this variable. The digest makes vmagent start anew if the authority changes.
            *([f"export SSL_CERT_FILE={CA} # {_digest(reporting.ca)}"] if reporting.ca else []),
        ]
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
