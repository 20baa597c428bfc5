"""Builds the rows of `GET /api/v1/invoices/`, one for each payment. Pure.

The account has one payment, from the market's start. From the market's description: money that comes in is negative, and
the market refuses an unreadable range of moments with HTTP 200.
"""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.market.charges import cut
from sandbox.market.protocol.api_errors import ApiError
from sandbox.market.protocol.filters import fulfils

SERVICE = "stripe_payments"
RANGE = "select_filters.when needs gte and lte in unix seconds"


def page(paid: float, at: float, query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of the payments in the requested range: `paid` in $, `at` in unix seconds.

    Raises ApiError and FilterInvalid.
    """
    try:
        wanted = json.loads(query.get("select_filters") or "")
        since, until = float(wanted["when"]["gte"]), float(wanted["when"]["lte"])
        service = dict(wanted.get("service") or {})
    except (ValueError, KeyError, TypeError):
        raise ApiError(200, "invalid_args", RANGE) from None
    row = {
        "start": at,
        "end": at,
        "type": "credit",
        "source": "stripe",
        "description": "Sandbox credit",
        "amount": -paid,
        "metadata": {"invoice_id": 1, "service": SERVICE},
        "items": [],
    }
    return cut([row] if paid > 0 and since <= at <= until and fulfils(SERVICE, service) else [], query)
