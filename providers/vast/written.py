"""Read an instance's settings from a state that another version of the program may have written."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from providers import old_state
from providers.vast.settings import InstanceSettings, inputs_of, invalid

WRITTEN = {old_state.WRITTEN_BY: old_state.VERSION}


def read_settings(state: dict[str, Any], instead: Mapping[str, Any] | None = None) -> tuple[InstanceSettings, str]:
    """Return the settings, and a sentence about ignored keys, empty if there are none.

    `instead` supplies values for top-level keys that cannot be read. Raises SettingsInvalid if such a key remains.
    """
    props = inputs_of(state)
    try:
        settings, left = old_state.read_state(InstanceSettings, props)
    except ValidationError as error:
        if instead is None:
            raise invalid(error) from None
        lacking = {str(row["loc"][0]): None for row in error.errors(include_input=False)}
        props |= {key: instead[key] for key in lacking if key in instead}
        settings, left = InstanceSettings.from_props(props), tuple(lacking)
    return settings, old_state.describe_unknown_keys(state, left)
