"""Find host certificates that end soon. Pure rules.

Any update renews them, even if no refresh has looked at the host.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bootstrap.spec import RENEW_SECONDS

CERTIFICATE_DRIFT = "certificate"


def is_due(certificate_end: object, now: float) -> bool:
    """Return whether a certificate ends within a month, according to the state. Times are unix seconds."""
    return isinstance(certificate_end, int | float) and 0 < certificate_end < now + RENEW_SECONDS


def with_due(outs: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return an instance's outputs, with a line of drift if its certificate ends soon."""
    end = outs.get("certificateEnd")
    if not is_due(end, now) or not isinstance(end, int | float):
        return dict(outs)
    line = f"{CERTIFICATE_DRIFT}: it ends on {datetime.fromtimestamp(end, UTC):%Y-%m-%d}"
    return {**outs, "drift": [*(outs.get("drift") or []), line]}
