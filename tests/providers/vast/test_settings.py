"""The inputs of an instance that reports: the key is long enough, and never printed."""

import copy
from typing import Any

import pytest

from providers.vast.api.errors import SettingsInvalid
from providers.vast.api.label import Label
from providers.vast.host_spec import spec_of
from providers.vast.redaction import Redaction
from providers.vast.settings import InstanceSettings
from tests.doubles.settings import PROPS

KEY = "a key of the metrics"


def reporting(**changes: Any) -> dict[str, Any]:
    props = copy.deepcopy(PROPS)
    props |= {"name": "chat-0", "label": str(Label("abcdefgh", "chat-0"))}
    props["access"]["metricsKey"] = KEY
    return {**props, "metrics": {"url": "https://door.example", "intervalSeconds": 15.0}, **changes}


def test_a_host_reports_as_its_instance_with_a_password_of_its_own() -> None:
    settings = InstanceSettings.from_props(reporting())
    first, second = (spec_of(settings, "203.0.113.7", number).reporting for number in (7, 8))

    assert first is not None
    assert second is not None
    assert (first.url, first.user) == ("https://door.example", "7.chat-0.abcdefgh")
    assert first.password != second.password
    assert KEY not in repr(settings) + repr(first)
    assert KEY in Redaction.of(settings).secrets


def test_without_a_door_or_a_key_nothing_is_reported() -> None:
    props = reporting()
    del props["metrics"]
    assert spec_of(InstanceSettings.from_props(props), "203.0.113.7", 7).reporting is None
    props = reporting()
    del props["access"]["metricsKey"]
    assert spec_of(InstanceSettings.from_props(props), "203.0.113.7", 7).reporting is None


def test_a_key_that_the_door_would_refuse_is_refused_before_anything_is_rented() -> None:
    props = reporting()
    props["access"]["metricsKey"] = "too short"

    with pytest.raises(SettingsInvalid, match="metricsKey has fewer than 16 characters") as raised:
        InstanceSettings.from_props(props)
    assert "too short" not in str(raised.value)
