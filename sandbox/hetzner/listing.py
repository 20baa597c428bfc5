"""Lists of the API: filters by name, label and status, order, pages."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.datastructures import QueryParams

from sandbox.hetzner.errors import invalid_field

A_PAGE, MOST_A_PAGE = 25, 50
TERM = re.compile(
    r"(?P<absent>!)?(?P<key>[\w./-]+)\s*(?:(?P<sign>==|=|!=)\s*(?P<value>[\w.-]*)|(?P<among>in|notin)\s*\((?P<values>[^)]*)\))?\Z"
)


def page_of(query: QueryParams, name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one page of the rows that the query selects. Raises HetznerError for a query that cannot be read."""
    kept = [row for row in rows if _is_wanted(query, row)]
    for order in reversed(query.getlist("sort")):
        field, _, way = order.partition(":")
        kept.sort(key=partial(_sort_key, field), reverse=way == "desc")
    page, size = _number(query, "page", 1), min(_number(query, "per_page", A_PAGE), MOST_A_PAGE)
    last = max(1, -(-len(kept) // size))
    return {
        name: kept[(page - 1) * size : page * size],
        "meta": {
            "pagination": {
                "page": page,
                "per_page": size,
                "previous_page": page - 1 if page > 1 else None,
                "next_page": page + 1 if page < last else None,
                "last_page": last,
                "total_entries": len(kept),
            }
        },
    }


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Say whether labels match a selector such as `env=prod,!old,zone in (a,b)`. Raises HetznerError."""
    terms = re.split(r",(?![^()]*\))", selector)
    return all(_holds(term.strip(), labels) for term in terms if term.strip())


def _holds(term: str, labels: Mapping[str, str]) -> bool:
    found = TERM.match(term)
    if found is None:
        raise invalid_field("label_selector", "cannot be parsed")
    have = labels.get(found["key"])
    if found["among"]:
        inside = have in {value.strip() for value in found["values"].split(",")}
        return inside if found["among"] == "in" else not inside
    if found["sign"]:
        return have != found["value"] if found["sign"] == "!=" else have == found["value"]
    return (have is None) == bool(found["absent"])


def _sort_key(field: str, row: dict[str, Any]) -> tuple[float, str]:
    value = row.get(field)
    return (value, "") if isinstance(value, int | float) else (0.0, str(value))


def _is_wanted(query: QueryParams, row: dict[str, Any]) -> bool:
    for key in ("name", "architecture", "type", "fingerprint", "ip"):
        if key in query and str(row.get(key)) not in query.getlist(key):
            return False
    if (wanted := query.getlist("status")) and row.get("status") not in wanted:
        return False
    if (numbers := query.getlist("id")) and str(row["id"]) not in numbers:
        return False
    return matches(query.get("label_selector", ""), row.get("labels") or {})


def _number(query: QueryParams, name: str, otherwise: int) -> int:
    text = query.get(name, str(otherwise))
    if not text.isdigit() or int(text) < 1:
        raise invalid_field(name, "must be a positive number")
    return int(text)
