"""Read state that another version of the program wrote; unknown keys are left out and named.

The program reads its own inputs strictly, because an unknown key there is a mistake. It reads state leniently. It could
neither look at nor give back an instance with unreadable state.
"""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

VERSION = "0.1.0"  # as in pyproject.toml; state names the version that wrote it
WRITTEN_BY = "writtenBy"  # the key in state for that version

Model = TypeVar("Model", bound=BaseModel)


def read_state(model: type[Model], props: Mapping[str, Any]) -> tuple[Model, tuple[str, ...]]:
    """Read a property map as a model. Return the model and the keys that it had to leave out.

    It leaves out unknown keys, and invalid values of fields that have a default. It never leaves out an item of a list.
    Raises ValidationError if a required key is missing.
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
    """Return a map of seconds from state, without any other entries that a later version wrote there."""
    found = state.get(key)
    rows = found.items() if isinstance(found, Mapping) else ()
    return {name: float(value) for name, value in rows if isinstance(value, int | float)}


def describe_unknown_keys(props: Mapping[str, Any], left: tuple[str, ...]) -> str:
    """Say which version wrote a state and which of its keys are left out; empty if none is."""
    if not left:
        return ""
    writer = props.get(WRITTEN_BY)
    who = f"version {writer}" if writer and writer != VERSION else "another version"
    return f"its state was written by {who} of this program; version {VERSION} leaves aside: {', '.join(left)}"


def _drop(props: Any, place: tuple[int | str, ...]) -> bool:
    """Remove one key from nested maps. Return True if it was there."""
    for step in place[:-1]:
        inside = isinstance(step, str) if isinstance(props, dict) else isinstance(props, list) and isinstance(step, int)
        if not inside or (isinstance(props, dict) and step not in props):
            return False
        props = props[step]
    if not place or not isinstance(props, dict) or place[-1] not in props:
        return False
    del props[place[-1]]
    return True
