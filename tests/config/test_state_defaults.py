"""Defaults of stack config are not held against instances whose state is older than a key."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from pydantic import BaseModel

from config.market import MarketConfig, WrittenMarket
from config.preflight import PreflightConfig
from config.requirements import RequirementsConfig
from config.state_defaults import STATE_DEFAULTS
from providers.vast.settings import InstanceSettings
from tests.doubles.settings import PROPS

MODELS: dict[str, type[BaseModel]] = {"preflight": PreflightConfig, "requirements": RequirementsConfig}


def old_state(**sections: Mapping[str, Any]) -> InstanceSettings:
    return InstanceSettings.from_props({**deepcopy(PROPS), **sections})


@pytest.mark.parametrize("section", STATE_DEFAULTS)
def test_the_table_names_keys_whose_default_differs_and_no_other(section: str) -> None:
    fields = {field.alias or name: field.default for name, field in MODELS[section].model_fields.items()}

    assert all(fields[key] != value for key, value in STATE_DEFAULTS[section].items())


def test_a_state_without_preflight_has_no_bound() -> None:
    assert set(old_state().preflight.model_dump().values()) == {0}
    partly = old_state(preflight={"gpuCelsius": 70}).preflight
    assert (partly.gpu_celsius, partly.disk_mbps, partly.clock_seconds) == (70, 0, 0)
    assert PreflightConfig().disk_mbps == 800


def test_a_state_without_a_requirement_was_rented_without_it() -> None:
    wishes = old_state(wishes={"gpuNames": ["RTX 4090"], "maxUsdPerHour": 0.5}).requirements

    assert (wishes.reliability, wishes.download_mbps, wishes.min_days) == (0, 0, 0)
    assert (wishes.verified, wishes.over_ceiling, wishes.regions) == (True, "report", ())


def test_inputs_name_their_market() -> None:
    assert MarketConfig().url == "https://console.vast.ai"
    with pytest.raises(ValueError, match="Field required"):
        WrittenMarket.model_validate({"timeScale": 30})
