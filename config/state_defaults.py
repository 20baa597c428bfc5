"""What a state means if it lacks a key, where stack config's default means something else.

Every program writes each key that it knows into its states. A state without a key was therefore written before that key
existed, and its instance was rented without that bound. Stack config's default must not be held against it: the instance
would be replaced for a bound that its fleet never had.
"""

from collections.abc import Mapping
from typing import Any

STATE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "preflight": {"cpuCores": 0, "memoryGb": 0, "diskMbps": 0, "clockSeconds": 0, "gpuCelsius": 0},
    "requirements": {"reliability": 0, "downloadMbps": 0, "minDays": 0},  # `wishes` in state
}


def with_state_defaults(section: str, value: Any) -> Any:
    """Return a section of a property map with the keys that it lacks; what is no mapping is returned as it is."""
    return {**STATE_DEFAULTS[section], **value} if isinstance(value, Mapping) else value
