"""Give old states the values that held before a config key existed.

Every program writes each key that it knows into its states. So a state without a key is older than the key, and its instance
was rented without that bound. Stack config's default must not apply to it: an update would replace the instance for a bound
that its fleet never had.
"""

from collections.abc import Mapping
from typing import Any

STATE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "preflight": {"cpuCores": 0, "memoryGb": 0, "diskMbps": 0, "clockSeconds": 0, "gpuCelsius": 0},
    "requirements": {"reliability": 0, "downloadMbps": 0, "minDays": 0},  # `wishes` in state
}


def with_state_defaults(section: str, value: Any) -> Any:
    """Return a section of a property map with the keys that it lacks; any other value as it is."""
    return {**STATE_DEFAULTS[section], **value} if isinstance(value, Mapping) else value
