"""Certificates of hosts that end soon, pure: any update renews them, whether a refresh has looked at the host or not."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bootstrap.spec import RENEW_SECONDS

CERTIFICATE_DRIFT = "certificate"


def is_due(certificate_end: object, now: float) -> bool:
    """Say whether a certificate ends within a month, by what the state says of it; moments in unix seconds."""
    return isinstance(certificate_end, int | float) and 0 < certificate_end < now + RENEW_SECONDS


def with_due(outs: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return the outputs of an instance, with a line of drift where its certificate ends soon."""
    end = outs.get("certificateEnd")
    if not is_due(end, now) or not isinstance(end, int | float):
        return dict(outs)
    line = f"{CERTIFICATE_DRIFT}: it ends on {datetime.fromtimestamp(end, UTC):%Y-%m-%d}"
    return {**outs, "drift": [*(outs.get("drift") or []), line]}
