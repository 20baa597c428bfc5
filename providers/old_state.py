"""Reading state that another version of the program wrote: what this one does not know is left aside, and named.

A program's own inputs are read strictly, because an unknown key there is a slip. State is another matter: an instance that
cannot be read could be neither looked at nor given back.
"""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

VERSION = "0.1.0"  # as in pyproject.toml; state says which one wrote it
WRITTEN_BY = "writtenBy"  # the key of state that says so

Model = TypeVar("Model", bound=BaseModel)


def read_state(model: type[Model], props: Mapping[str, Any]) -> tuple[Model, tuple[str, ...]]:
    """Return what a model makes of a property map, and the keys that were left aside to get there.

    Keys that the model does not know are left aside, and values that it does not understand where it has a default. Never
    an item of a list. Raises ValidationError for what is missing.
    """
    rest, left = copy.deepcopy(dict(props)), dict[str, None]()
    while True:
        try:
            return model.model_validate(rest), tuple(left)
        except ValidationError as error:
            rows = error.errors(include_input=False)
            unknown = [row["loc"] for row in rows if row["type"] == "extra_forbidden"]
            places = unknown or [row["loc"] for row in rows]
            dropped = [".".join(map(str, place)) for place in places if _drop(rest, place)]
            if not dropped:
                raise
            left.update(dict.fromkeys(dropped))


def seconds_of(state: Mapping[str, Any], key: str = "phases") -> dict[str, float]:
    """Return a map of times in state; what a later version wrote there besides is left aside."""
    found = state.get(key)
    rows = found.items() if isinstance(found, Mapping) else ()
    return {name: float(value) for name, value in rows if isinstance(value, int | float)}


def describe_unknown_keys(props: Mapping[str, Any], left: tuple[str, ...]) -> str:
    """Say who wrote a state and what of it is left aside; empty where nothing is."""
    if not left:
        return ""
    writer = props.get(WRITTEN_BY)
    who = f"version {writer}" if writer and writer != VERSION else "another version"
    return f"its state was written by {who} of this program; version {VERSION} leaves aside: {', '.join(left)}"


def _drop(props: Any, place: tuple[int | str, ...]) -> bool:
    """Take one key out of nested maps; say whether it was there."""
    for step in place[:-1]:
        inside = isinstance(step, str) if isinstance(props, dict) else isinstance(props, list) and isinstance(step, int)
        if not inside or (isinstance(props, dict) and step not in props):
            return False
        props = props[step]
    if not place or not isinstance(props, dict) or place[-1] not in props:
        return False
    del props[place[-1]]
    return True
