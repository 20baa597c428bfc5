"""The settings of an instance as state has them, which another version of the program may have written."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from providers import past
from providers.vast.settings import InstanceSettings, inputs_of, invalid

WRITTEN = {past.WRITTEN_BY: past.VERSION}


def read_settings(state: dict[str, Any], instead: Mapping[str, Any] | None = None) -> tuple[InstanceSettings, str]:
    """Return settings, and in words what of state is left aside; empty where nothing is.

    What cannot be read at all is taken from `instead`, by top-level keys. Raises SettingsInvalid without it.
    """
    props = inputs_of(state)
    try:
        settings, left = past.read_state(InstanceSettings, props)
    except ValidationError as error:
        if instead is None:
            raise invalid(error) from None
        lacking = {str(row["loc"][0]): None for row in error.errors(include_input=False)}
        props |= {key: instead[key] for key in lacking if key in instead}
        settings, left = InstanceSettings.from_props(props), tuple(lacking)
    return settings, past.told(state, left)
