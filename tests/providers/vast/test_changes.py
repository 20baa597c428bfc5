"""What a change means for a running instance: nothing, in place, or another machine."""

import copy
from typing import Any

import pytest

from providers.vast.api.errors import SettingsInvalid
from providers.vast.changes import Machine, changes
from providers.vast.settings import InstanceSettings
from tests.doubles.settings import PROPS

MACHINE = Machine("RTX 4090", 1, 48, 0.40, "US")


def changed(path: str, value: Any) -> InstanceSettings:
    props = copy.deepcopy(PROPS)
    *parents, last = path.split(".")
    place: Any = props
    for parent in parents:
        place = place[parent]
    place[last] = value
    return InstanceSettings.from_props(props)


OLD = InstanceSettings.from_props(PROPS)
FILE = {"path": "a", "size": 1, "sha256": "1" * 64, "parts": ["1" * 64]}


@pytest.mark.parametrize(
    ("path", "value", "kind", "key"),
    [
        ("market.url", "http://127.0.0.1:2", "replace", "market.url"),
        ("label", "gpu-fleet/x/chat-1", "replace", "label"),
        ("server.image", "other", "replace", "server.image"),
        ("wishes.gpuNames", ["H100 SXM"], "replace", "wishes.gpuNames"),
        ("wishes.gpuCount", 2, "replace", "wishes.gpuCount"),
        ("wishes.maxUsdPerHour", 0.3, "replace", "wishes.maxUsdPerHour"),
        ("wishes.regions", ["DE"], "replace", "wishes.regions"),
        ("diskGb", 100, "replace", "diskGb"),
        ("model", {"name": "m", "files": [FILE]}, "in_place", "model"),
        ("kit", {"name": "kit", "files": [FILE]}, "in_place", "kit"),
        ("server.arguments", ["--max-model-len", "9"], "in_place", "server"),
        ("server.environment", {"A": "b"}, "in_place", "server"),
        ("access.token", "t" * 43, "in_place", "access"),
        ("access.certificateEpoch", 1, "in_place", "access"),
        ("selfDestruct", {"idleMinutes": 30}, "in_place", "selfDestruct"),
        ("market.hostUrl", "http://market.internal", "recorded", "market"),
        ("wishes.maxUsdPerHour", 0.45, "recorded", "wishes"),
        ("wishes.reliability", 0.99, "recorded", "wishes"),
        ("wishes.gpuNames", ["rtx_4090"], "recorded", "wishes"),
        ("wishes.regions", ["us", "Germany"], "recorded", "wishes"),
        ("registry", {"server": "ghcr.io", "user": "u", "password": "p"}, "recorded", "registry"),
        ("wishes.datacenter", True, "recorded", "wishes"),
        ("limits", {"attempts": 5}, "recorded", "limits"),
        ("turn", 4, "recorded", "turn"),
        ("diskGb", 30, "recorded", "diskGb"),
        ("store.region", "nbg1", "recorded", "store"),
    ],
)
def test_each_key_has_its_consequence(path: str, value: Any, kind: str, key: str) -> None:
    found = changes(OLD, changed(path, value), MACHINE)

    assert key in getattr(found, kind)
    assert found.any
    if kind != "replace":
        assert not found.replace
    if kind == "recorded":
        assert not found.in_place


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("wishes.maxUsdPerHour", 0.3, "another machine, and this one is given back first, because of maxUsdPerHour"),
        ("server.arguments", ["--x"], "in place, because of vLLM's arguments"),
        ("wishes.reliability", 0.99, "nothing on the machine; wishes is written down for the next rent"),
    ],
)
def test_a_change_is_told_in_words(path: str, value: Any, says: str) -> None:
    assert changes(OLD, changed(path, value), MACHINE).describe() == says


def test_nothing_changed_is_nothing_to_do() -> None:
    assert not changes(OLD, OLD, MACHINE).any


def test_numbers_that_became_floats_are_no_change() -> None:
    props = copy.deepcopy(PROPS)
    props["diskGb"], props["wishes"]["gpuCount"], props["turn"] = 48.0, 1.0, 0.0

    assert not changes(OLD, InstanceSettings.from_props(props), MACHINE).any


def test_outputs_among_the_props_are_left_aside() -> None:
    assert InstanceSettings.from_props({**PROPS, "endpoint": "https://x", "__provider": "p"}) == OLD


def test_a_mistake_names_its_field_and_never_its_value() -> None:
    props = copy.deepcopy(PROPS)
    props["access"]["token"] = {"oops": "hush-hush"}

    with pytest.raises(SettingsInvalid, match=r"access\.token") as raised:
        InstanceSettings.from_props(props)

    assert "hush-hush" not in str(raised.value)


def test_how_many_instances_there_are_is_no_matter_of_one_of_them() -> None:
    assert not changes(OLD, changed("replicas", 9), MACHINE).any


def test_a_host_that_ends_itself_is_told_the_market_s_other_address_at_once() -> None:
    props = {**PROPS, "selfDestruct": {"idleMinutes": 30}}
    moved = {**props, "market": {**PROPS["market"], "hostUrl": "http://market.internal"}}

    found = changes(InstanceSettings.from_props(props), InstanceSettings.from_props(moved), MACHINE)

    assert found.in_place == ["selfDestruct"]
    assert found.describe() == "in place, because of when it ends itself"
