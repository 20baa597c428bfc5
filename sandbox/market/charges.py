"""Builds the rows of `GET /charges/`, one for each contract. Pure.

From the market's description: amounts have three decimals, and a range of days in unix seconds is required. One row
for a contract's whole life, also while it runs, is our reading.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.market.protocol import tokens
from sandbox.market.protocol.filters import FilterInvalid, coerce, fulfils
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract

LARGEST_PAGE = 500
RANGE = "select_filters.day needs gte and lte in unix seconds"


def page(contracts: Iterable[Contract], query: Mapping[str, str], clock: MarketClock) -> dict[str, Any]:
    """Return one page of the charges that touch the requested days. Raises FilterInvalid.

    Moments are real unix seconds; amounts follow the market's own time.
    """
    since, until, kind = _range(query.get("select_filters"))
    rows = [row for row in (_row(one, clock) for one in contracts) if row["start"] <= until and row["end"] >= since]
    rows = [row for row in rows if fulfils(row["type"], kind)]
    return cut(rows, query)


def cut(rows: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the requested page of some rows in the requested order. Raises FilterInvalid."""
    rows = sorted(rows, key=lambda row: (row["start"], row["source"]))
    if query.get("latest_first", "").lower() == "true":
        rows.reverse()
    start = _offset(query.get("after_token"))
    size = int(min(LARGEST_PAGE, max(1, coerce(query.get("limit") or str(LARGEST_PAGE), 0))))
    more = start + size < len(rows)
    return {
        "success": True,
        "count": len(rows[start : start + size]),
        "total": len(rows),
        "next_token": tokens.encode(start + size) if more else None,
        "results": rows[start : start + size],
    }


def _row(contract: Contract, clock: MarketClock) -> dict[str, Any]:
    now = clock.now()
    items = {kind: round(usd, 3) for kind, usd in contract.items(now).items()}
    return {
        "type": "instance",
        "source": f"instance-{contract.id}",
        "description": f"Instance {contract.id} on machine {contract.machine.machine_id}",
        "start": clock.on_the_wire(contract.born),
        "end": clock.on_the_wire(now if contract.meter.ended is None else contract.meter.ended),
        "amount": round(sum(items.values()), 3),
        "metadata": {"label": contract.label, "machine_id": contract.machine.machine_id},
        "items": [{"type": kind, "amount": usd} for kind, usd in items.items()],
    }


def _range(text: str | None) -> tuple[float, float, dict[str, Any]]:
    """Return the first moment, the last moment, and the condition for the type of a charge."""
    try:
        wanted = json.loads(text or "")
        return float(wanted["day"]["gte"]), float(wanted["day"]["lte"]), dict(wanted.get("type") or {})
    except (ValueError, KeyError, TypeError):
        raise FilterInvalid("invalid_request", RANGE) from None


def _offset(token: str | None) -> int:
    offset = tokens.decode(token) if token else 0
    if not isinstance(offset, int):
        raise tokens.refused()
    return offset
