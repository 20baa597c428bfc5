"""States that releases wrote, one file each: compared, looked at and given back by this version, and so would be later ones.

A release adds its own: `pulumi stack export --show-secrets` of a small stack, cut down to the project's resources, with test
values in place of what is secret. Files that are there stay as they are.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import ResourceProvider

from providers.identity.resource import IdentityProvider
from providers.rentals.resource import RentalsProvider
from providers.store.inputs import BlobsInputs, BucketInputs
from providers.store.resource import BlobsProvider, BucketProvider
from providers.vast.resource import VastInstanceProvider
from sandbox.testing import RunningMarket, running_market
from tests.doubles.dynamic_process import SECRET, SIGNATURE, DynamicProcess
from tests.providers.test_old_state import later

pytestmark = pytest.mark.service

STATES = sorted((Path(__file__).parent / "states").glob("*.json"))
TYPES: dict[str, type[ResourceProvider]] = {
    "pulumi-python:dynamic/identity:Identity": IdentityProvider,
    "pulumi-python:dynamic/rentals:Rentals": RentalsProvider,
    "pulumi-python:dynamic/store:Bucket": BucketProvider,
    "pulumi-python:dynamic/store:Blobs": BlobsProvider,
    "pulumi-python:dynamic/vast:Instance": VastInstanceProvider,
}
STORE = {"pulumi-python:dynamic/store:Bucket": BucketInputs, "pulumi-python:dynamic/store:Blobs": BlobsInputs}


def opened(value: Any) -> Any:
    """Return a value of an exported state with its secrets in plain, and without the provider's own key."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return json.loads(value["plaintext"])
        return {key: opened(item) for key, item in value.items() if key != "__provider"}
    return [opened(item) for item in value] if isinstance(value, list) else value


def resources(file: Path) -> list[dict[str, Any]]:
    rows = json.loads(file.read_text())["deployment"]["resources"]
    return [{**row, "inputs": opened(row["inputs"]), "outputs": opened(row["outputs"])} for row in rows]


CASES = [pytest.param(row, id=f"{file.stem}-{row['type']}") for file in STATES for row in resources(file)]


@pytest.fixture(scope="module")
def market() -> Iterator[RunningMarket]:
    with running_market() as running:
        yield running


@pytest.fixture(scope="module")
def processes(market: RunningMarket) -> Iterator[dict[str, DynamicProcess]]:
    started: dict[str, DynamicProcess] = {}
    try:
        for kind, provider in TYPES.items():
            started[kind] = DynamicProcess(provider()).__enter__()
            started[kind].configure({"vastApiKey": market.key, "storeAccessKey": "a", "storeSecretKey": "b"})
        yield started
    finally:
        for process in started.values():
            process.__exit__(None, None, None)


def at(market: RunningMarket, props: dict[str, Any]) -> dict[str, Any]:
    """Return properties with the market that runs now in place of the one of then."""
    found = copy.deepcopy(props)
    if "market" in found:
        found["market"] |= {"url": market.url, "timeScale": market.time_scale}
    return found


def test_every_type_of_resource_is_in_the_first_state() -> None:
    assert {row["type"] for row in resources(STATES[0])} == set(TYPES)


@pytest.mark.parametrize("age", [copy.deepcopy, later])
@pytest.mark.parametrize("row", CASES)
def test_the_same_program_finds_nothing_to_do(
    row: dict[str, Any], age: Any, market: RunningMarket, processes: dict[str, DynamicProcess]
) -> None:
    state, now = age(at(market, row["outputs"])), at(market, row["inputs"])

    difference = processes[row["type"]].diff(row["id"], state, now)

    assert difference.replaces == []
    # These two compare values as they are: what a later version wrote is written anew, and nothing is replaced.
    anew = ("pulumi-python:dynamic/store:Blobs", "pulumi-python:dynamic/rentals:Rentals")
    assert difference.changes is (age is later and row["type"] in anew)


@pytest.mark.parametrize("age", [copy.deepcopy, later])
@pytest.mark.parametrize("row", CASES)
def test_it_can_be_looked_at_and_given_back(
    row: dict[str, Any], age: Any, market: RunningMarket, processes: dict[str, DynamicProcess]
) -> None:
    state, kind = age(at(market, row["outputs"])), row["type"]
    if kind in STORE:
        inputs: Any = STORE[kind]
        assert inputs.from_props(state) == inputs.from_props(row["outputs"])
        return

    seen = processes[kind].read(row["id"], state)

    gone = kind == "pulumi-python:dynamic/vast:Instance"  # the market of today has never had it
    assert seen.id == ("" if gone else row["id"])
    if not gone:
        assert {key: seen.outs.get(key) for key in state if state[key] is not None} == {
            key: value for key, value in state.items() if value is not None
        }
    processes[kind].delete(row["id"], state)
