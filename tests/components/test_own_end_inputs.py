"""A fleet's limits reach its instances, and a fleet without any has the inputs and hosts that it had before."""

from typing import Any

import pytest

from bootstrap.rendered_config import gate_config
from bootstrap.self_destruct_config import SelfDestruct
from components.changes_page import Edit, settings_of
from providers.vast.host_spec import spec_of
from providers.vast.settings import InstanceSettings


def instance(key: str = "", value: Any = None) -> InstanceSettings:
    return settings_of(Edit(f"fleets.<name>.{key}" if key else "", value))


def test_without_limits_nothing_is_new() -> None:
    plain = instance()

    assert plain.self_destruct is None
    assert "self_destruct" not in plain.model_fields_set
    assert spec_of(plain, "203.0.113.7", 1).self_destruct is None
    assert "lease" not in gate_config(spec_of(plain, "203.0.113.7", 1))


@pytest.mark.parametrize(
    ("key", "value", "limits"),
    [
        ("idleMinutes", 30, {"idle": 1800}),
        ("maxHours", 1.5, {"lifetime": 5400}),
        ("lease", {"minutes": 15}, {"lease": 900}),
    ],
)
def test_each_limit_reaches_the_host_in_seconds(key: str, value: Any, limits: dict[str, float]) -> None:
    spec = spec_of(instance(key, value), "203.0.113.7", 1)

    assert spec.self_destruct == SelfDestruct("https://console.vast.ai", **limits)
    assert ("path /lease" in gate_config(spec)) == (key == "lease")
