"""Pages of the instance list, pure: filters, order, columns, and a token for the next page."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sandbox.market.protocol import tokens
from sandbox.market.protocol.filters import FilterInvalid, coerce, fulfils, ordered
from sandbox.market.records.instances import COLUMNS

LARGEST_PAGE = 25
SMALLEST_PAGE = 5  # the size for a limit of 0 or less


def page(rows: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of the list in the market's form. Raises FilterInvalid.

    `instances_found` counts the rows of the page, `total_instances` all matches of the filters.
    """
    conditions = _json(query, "select_filters", dict)
    found = [row for row in rows if all(_fits(row, name, one) for name, one in conditions.items())]
    order = _json(query, "order_by", list)
    found = ordered(found, [[_column(key.get("col")), "desc" if key.get("dir") == "desc" else "asc"] for key in order])
    size = _size(query.get("limit"))
    start = _start(found, query.get("after_token"))
    shown = found[start : start + size]
    more = start + size < len(found)
    columns = _json(query, "select_cols", list)
    return {
        "success": True,
        "instances_found": len(shown),
        "total_instances": len(found),
        "label_counts": dict(Counter(row["label"] or "" for row in found)),
        "next_token": tokens.encode([start + size, shown[-1]["id"]]) if more else None,
        "instances": [_columns(row, columns) for row in shown],
    }


def _fits(row: Mapping[str, Any], name: str, condition: object) -> bool:
    if not isinstance(condition, Mapping):
        raise FilterInvalid("invalid_request", f"select_filters.{name}: Input should be a valid dictionary")
    return fulfils(row.get(_column(name)), condition)


def _column(name: object) -> str:
    if name not in COLUMNS:
        raise FilterInvalid("invalid_request", f"Error in query parameters: {name} is not a valid search key")
    return str(name)


def _columns(row: dict[str, Any], columns: list[Any]) -> dict[str, Any]:
    return row if not columns or "*" in columns else {str(name): row.get(str(name)) for name in columns}


def _size(asked: str | None) -> int:
    number = coerce(asked, 0) if asked not in (None, "") else LARGEST_PAGE
    return min(LARGEST_PAGE, int(number)) if number > 0 else SMALLEST_PAGE


def _start(rows: list[dict[str, Any]], token: str | None) -> int:
    """Return the index behind the last row, or the old offset if that row is gone."""
    if not token:
        return 0
    try:
        offset, last_id = tokens.decode(token)
        offset = int(offset)
    except (ValueError, TypeError):
        raise tokens.refused() from None
    return next((index + 1 for index, row in enumerate(rows) if row["id"] == last_id), max(0, offset))


def _json(query: Mapping[str, str], name: str, kind: type) -> Any:
    text = query.get(name)
    if not text:
        return kind()
    value: Any
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if value is None:
        return kind()
    keys: list[Any] = value if isinstance(value, list) else []
    right = isinstance(value, kind) and (name != "order_by" or all(isinstance(key, dict) for key in keys))
    if not right:
        raise FilterInvalid("invalid_request", f"Error in query parameters: {name} has the wrong form")
    return value
