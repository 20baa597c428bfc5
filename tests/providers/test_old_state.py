"""State of another version: a key that this one does not know hinders neither a look nor giving back, and is said."""

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers import old_state
from providers.identity.resource import IdentityProvider
from providers.identity.state import rotation_of
from providers.old_state import describe_unknown_keys, read_state
from providers.rentals.resource import RentalsProvider
from providers.store.errors import StoreError
from providers.store.inputs import BlobsInputs, BucketInputs
from providers.vast.api.errors import SettingsInvalid
from providers.vast.resource import VastInstanceProvider
from providers.vast.settings import InstanceSettings
from providers.vast.written import read_settings
from sandbox.testing import RunningMarket, running_market
from tests.doubles.dynamic_process import DynamicProcess
from tests.doubles.settings import PROPS

LATER = "wishedByALaterVersion"
FREE = ("environment", "warmPins")  # maps whose keys are the user's
REPO = Path(__file__).resolve().parents[2]


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int
    mode: str = Field("fast", pattern="^(fast|slow)$")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Inner
    rows: tuple[Inner, ...] = ()


def later(value: Any) -> Any:
    """Return a property map as a later version may write it: with one more key in every map of it."""
    if isinstance(value, dict):
        return {**{key: item if key in FREE else later(item) for key, item in value.items()}, LATER: "x"}
    return [later(item) for item in value] if isinstance(value, list) else value


def test_the_version_is_the_project_s() -> None:
    assert tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"] == old_state.VERSION


def test_unknown_keys_are_left_aside_at_any_depth_and_named() -> None:
    state = later({"inner": {"size": 1}, "rows": [{"size": 2}]})
    before = copy.deepcopy(state)

    found, left = read_state(Outer, state)

    assert found == Outer(inner=Inner(size=1), rows=(Inner(size=2),))
    assert set(left) == {LATER, f"inner.{LATER}", f"rows.0.{LATER}"}
    assert state == before


def test_a_value_that_is_not_understood_counts_as_not_given_where_there_is_a_default() -> None:
    assert read_state(Outer, {"inner": {"size": 1, "mode": "turbo"}})[0].inner.mode == "fast"


@pytest.mark.parametrize("state", [{}, {"inner": {}}, {"inner": {"size": "x"}}, {"inner": {"size": 1}, "rows": [None]}])
def test_what_is_missing_is_not_made_up_and_no_row_is_left_out(state: dict[str, Any]) -> None:
    if "rows" in state:
        assert read_state(Outer, {"inner": {"size": 1}, "rows": []})[0].rows == ()
    with pytest.raises(ValidationError):
        read_state(Outer, state)


def test_the_writer_is_named_as_far_as_state_knows_it() -> None:
    assert describe_unknown_keys({}, ()) == ""
    assert describe_unknown_keys({"writtenBy": "9.1"}, ("a.b",)).startswith(
        "its state was written by version 9.1 of this program"
    )
    assert "written by another version" in describe_unknown_keys({}, ("a.b",))


def test_settings_of_a_later_version_are_those_without_what_is_new() -> None:
    found, left_aside = read_settings({**later(PROPS), "writtenBy": "9.1"})

    assert found == InstanceSettings.from_props(PROPS)
    assert "version 9.1" in left_aside
    assert f"model.files.0.{LATER}" in left_aside
    with pytest.raises(SettingsInvalid, match=LATER):
        InstanceSettings.from_props(later(PROPS))  # in a program it is a slip


def test_settings_that_cannot_be_read_are_the_new_ones_for_an_update() -> None:
    broken = {**PROPS, "server": {"image": "vllm/vllm-openai:v0.32.0"}}

    with pytest.raises(SettingsInvalid, match=r"server\.modelName"):
        read_settings(broken)
    found, left_aside = read_settings(broken, instead=PROPS)
    assert found == InstanceSettings.from_props(PROPS)
    assert left_aside.endswith("leaves aside: server")


@pytest.mark.parametrize(
    ("model", "props"),
    [
        (
            BucketInputs,
            {"endpoint": "https://store", "region": "eu", "name": "bucket", "stackId": "abcd", "onDestroy": "empty"},
        ),
        (
            BlobsInputs,
            {
                "endpoint": "https://store",
                "region": "eu",
                "bucket": "bucket",
                "manifest": PROPS["model"],
                "source": "x",
            },
        ),
    ],
)
def test_the_store_s_resources_read_later_states_and_refuse_slips(model: Any, props: dict[str, Any]) -> None:
    assert model.from_props(later(props)) == model.from_props(props)
    with pytest.raises(StoreError, match=LATER):
        model.checked(later(props))


def test_counters_of_a_later_version_do_not_count_here() -> None:
    assert rotation_of({"rotation": {"ssh": 1, "gate": 7}}) == rotation_of({"rotation": {"ssh": 1}})


@pytest.fixture(scope="module")
def market() -> Iterator[RunningMarket]:
    with running_market() as running:
        yield running


def test_an_instance_of_a_later_state_is_compared_read_and_deleted(market: RunningMarket) -> None:
    place = {"url": market.url, "timeScale": market.time_scale}
    now = {**PROPS, "market": place}
    outs = {"instanceId": 7, "usdPerHour": 0.4, "hostKey": "SHA256:x", "drift": [], "account": 4711, "writtenBy": "9.1"}
    state = {**later(now), **outs}
    with DynamicProcess(VastInstanceProvider()) as process:
        process.configure({"vastApiKey": market.key})

        assert process.diff("7", state, now).changes is False
        down = {**state, "drift": ["status: the market reports it as offline"], "downSince": 1.0}
        assert process.diff("7", down, now).changes is True
        recorded = process.update("7", state, {**now, "turn": 3})
        assert process.says(f"version 9.1 of this program; version {old_state.VERSION} leaves aside: ")
        assert (recorded["instanceId"], recorded["turn"], recorded["writtenBy"]) == (7, 3, old_state.VERSION)
        process.delete("7", state)  # it is not on the account any more
        assert process.read("7", state).id == ""


def test_rentals_and_identity_of_a_later_state_are_read_updated_and_deleted(market: RunningMarket) -> None:
    inputs = {"market": {"url": market.url, "timeScale": market.time_scale}, "stackId": "abc"}
    with DynamicProcess(RentalsProvider()) as process:
        process.configure({"vastApiKey": market.key})
        state = later({**inputs, "account": 4711})
        process.read("abc", state)
        process.delete("abc", state)
    with DynamicProcess(IdentityProvider()) as process:
        id_, outs = process.create({"rotation": {"tokens": 0, "ssh": 0, "certificates": 0}})
        state = later(outs)
        assert process.diff(id_, state, outs).changes is False
        assert process.read(id_, state).outs[LATER] == "x"  # a later version wants it back
        assert process.update(id_, state, {"rotation": {"ssh": 1}})["previousSshPrivateKey"] == outs["sshPrivateKey"]
