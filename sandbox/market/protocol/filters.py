"""Filters, order and limit of the market's searches, pure: operators, numbers that come as text, and names that mean
other fields."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

LARGEST_ANSWER = 64  # rows, whatever is asked
CONTROLS = {"order", "type", "limit", "allocated_storage", "select_cols", "disk_space_alloc"}
RENAMED = {"ask_contract_id": "id", "ubuntu_version": "os_version"}
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: bool(have == want),
    "neq": lambda have, want: bool(have != want),
    "gt": lambda have, want: bool(have > want),
    "gte": lambda have, want: bool(have >= want),
    "lt": lambda have, want: bool(have < want),
    "lte": lambda have, want: bool(have <= want),
    "in": lambda have, want: have in want,
    "notin": lambda have, want: have not in want,
}


class FilterInvalid(Exception):
    """A query that the market refuses. `code` is the answer's error code, the message its text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def search(rows: Iterable[dict[str, Any]], query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the offers that match a flat search body, ordered, 64 at most. Raises FilterInvalid."""
    found = [found for found in rows if matches_offer(found, query)]
    order = query.get("order")
    return ordered(found, [["score", "desc"]] if order is None else order)[: limit(query.get("limit"))]


def matches_offer(offer: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """Return whether an offer matches every filter of a search body. Raises FilterInvalid."""
    for name, condition in query.items():
        if name in CONTROLS:
            continue
        if not isinstance(condition, (dict, Mapping)):  # the dict first: it is, and is seen to be so sooner
            raise FilterInvalid("bad_request", f"q.{name}: Input should be a valid dictionary")
        if name == "id":
            # The live market never finds an offer by "id"; its number goes by ask_contract_id.
            return False
        if not fulfils(_meaning(offer, name), condition):
            return False
    return True


def fulfils(have: object, condition: Mapping[str, Any]) -> bool:
    """Return whether one value matches one condition, such as {"gte": "24"}.

    A missing value matches only neq and notin. Raises FilterInvalid for an unknown operator and for a text that is no
    number.
    """
    for operator, want in condition.items():
        compare = OPERATORS.get(operator)
        if compare is None:
            raise FilterInvalid("bad_request", f"Unknown operator {operator}: use one of {', '.join(OPERATORS)}")
        wanted = coerce(want, have) if operator not in ("in", "notin") else _wanted(operator, want, have)
        if have is None and operator not in ("neq", "notin", "eq", "in"):
            return False
        try:
            if not compare(have, wanted):
                return False
        except TypeError:
            raise FilterInvalid("bad_request", f"{want!r} cannot be compared with {have!r}") from None
    return True


def ordered(rows: Iterable[dict[str, Any]], order: object) -> list[dict[str, Any]]:
    """Sort rows by [[field, "asc"|"desc"], ...], the first field first. Raises FilterInvalid."""
    if not isinstance(order, list):
        raise FilterInvalid("invalid_request", "order: Input should be a valid list")
    result = list(rows)
    for key in reversed(order):
        if not (isinstance(key, list) and len(key) == 2 and key[1] in ("asc", "desc")):
            raise FilterInvalid("invalid_request", "order: each key is [field, asc or desc]")
        result.sort(key=lambda row, name=str(key[0]): _sortable(row.get(name)), reverse=key[1] == "desc")  # type: ignore[misc]
    return result


def limit(asked: object, largest: int = LARGEST_ANSWER) -> int:
    """Return the number of rows of an answer. Raises FilterInvalid."""
    if asked is None:
        return largest
    number = coerce(asked, 0)
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise FilterInvalid("invalid_request", "limit: Input should be a valid number")
    return max(0, min(largest, int(number)))


def coerce(want: Any, have: object) -> Any:
    """Convert text to the type of its counterpart: clients send numbers as strings. Raises FilterInvalid."""
    if isinstance(have, bool):
        return want.lower() == "true" if isinstance(want, str) else bool(want)
    if isinstance(want, str) and isinstance(have, (int, float)):
        try:
            return int(want) if want.lstrip("-").isdigit() else float(want)
        except ValueError:
            raise FilterInvalid("bad_request", f"{want!r} is not a number") from None
    return want


def _wanted(operator: str, want: Any, have: object) -> Any:
    if not isinstance(want, list):
        raise FilterInvalid("bad_request", f"{operator}: Input should be a valid list")
    return [coerce(one, have) for one in want]


def _meaning(offer: Mapping[str, Any], name: str) -> object:
    if name == "verified":
        return offer["verification"] == "verified"
    if name == "geolocation":
        return str(offer["geolocation"]).rsplit(",", 1)[-1].strip()
    if name == "driver_version":
        return offer["driver_vers"]
    return offer.get(RENAMED.get(name, name))


def _sortable(value: object) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return (1, float(value), "")
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))
