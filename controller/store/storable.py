"""Make any value one that PostgreSQL takes; pure. What a host said may hold characters and numbers that it refuses."""

import math
from collections.abc import Mapping

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


def text(value: str) -> str:
    """Return a text without zero characters and lone surrogates; each becomes a replacement character."""
    return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def json_value(value: object) -> Json:
    """Return a value as JSON in PostgreSQL holds it. NaN and infinity become words, and a value of another type its text."""
    match value:
        case bool() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return text(value)
        case Mapping():
            return {text(str(name)): json_value(one) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [json_value(one) for one in value]
    return text(str(value))
