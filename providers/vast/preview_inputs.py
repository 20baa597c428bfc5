"""Replace inputs that a preview does not know. Pure rules.

An input is unknown if it depends on a resource that the same update makes or changes. An unknown value counts as
unchanged: for most keys the previous value stands in. The inputs from an instance's identity are the exception. They
are unknown only if the identity changes, and then the instance adopts it in place.
"""

from collections.abc import Mapping
from typing import Any

from providers.vast.changes import CONVERGED

STAND_IN = "not made yet"


def known(value: Any, unknown: type, before: Any = None) -> Any:
    """Replace each value of class `unknown` by the previous value, or by a stand-in text."""
    if isinstance(value, unknown):
        return STAND_IN if before is None else before
    if isinstance(value, Mapping):
        old = before if isinstance(before, Mapping) else {}
        return {key: known(item, unknown, old.get(key)) for key, item in value.items()}
    if isinstance(value, list):
        same = isinstance(before, list) and len(before) == len(value)
        ones = before if same else [None] * len(value)
        return [known(item, unknown, one) for item, one in zip(value, ones, strict=True)]
    return value


def made_anew(news: Mapping[str, Any], unknown: type) -> list[str]:
    """Return the keys with an unknown part that an update applies in place."""
    return [key for key in CONVERGED if _holds(news.get(key), unknown)]


def _holds(value: Any, unknown: type) -> bool:
    if isinstance(value, Mapping):
        return any(_holds(item, unknown) for item in value.values())
    if isinstance(value, list):
        return any(_holds(item, unknown) for item in value)
    return isinstance(value, unknown)
