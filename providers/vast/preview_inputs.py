"""Inputs that are not known in a preview, pure: what hangs on a resource that is made or changed in the same update.

An unknown value is no difference: for most keys the one of before stands in. What an instance gets of its identity is the
exception: it is unknown only where the identity changes, and then the instance takes it over in place.
"""

from collections.abc import Mapping
from typing import Any

from providers.vast.changes import CONVERGED

STAND_IN = "not made yet"


def known(value: Any, unknown: type, before: Any = None) -> Any:
    """Return inputs in which the value of before stands for each of the class `unknown`, a text where there was none."""
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
    """Return the keys that an update takes over in place and that hold something unknown."""
    return [key for key in CONVERGED if _holds(news.get(key), unknown)]


def _holds(value: Any, unknown: type) -> bool:
    if isinstance(value, Mapping):
        return any(_holds(item, unknown) for item in value.values())
    if isinstance(value, list):
        return any(_holds(item, unknown) for item in value)
    return isinstance(value, unknown)
