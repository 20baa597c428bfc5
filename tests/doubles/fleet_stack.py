"""A stack in a cloud for tests that break things: its size, what state and market say, and the operator's next steps.

`stack` is a fixture.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from sandbox.faults.catalogue import FAULTS
from tests.doubles.cloud import LIMITS, REPO, Cloud
from tests.doubles.pulumi_stack import Engine, Stack


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack without instances; nothing is rented afterwards, whatever happened."""
    with stack_of_its_own(cloud, engine) as made:
        want(cloud, made, 0)
        made.up()
        yield made


# Bounds that let a test see the end of what never comes, and bounds that a loaded machine does not meet: for tests that
# count the machines which were given back.
SHORT = {**LIMITS, "bootMinutes": 10, "connectMinutes": 0.15, "totalMinutes": 2.5}
PATIENT = {**LIMITS, "bootMinutes": 100, "connectMinutes": 1.5, "totalMinutes": 5}


def want(cloud: Cloud, stack: Stack, replicas: int, limits: Mapping[str, float] = SHORT) -> None:
    """Set the size of the fleet, and its limits."""
    store = stack.read_config().get("gpu-fleet:store")
    config = cloud.stack_config(replicas=replicas)
    config["gpu-fleet:limits"] = dict(limits)
    config["gpu-fleet:store"] = store or config["gpu-fleet:store"]
    stack.write_config(config)


def calm(cloud: Cloud) -> None:
    """End every fault; those that have struck, too, because what they broke lasts until then."""
    for name in FAULTS:
        cloud.sandbox.disarm(name)


@contextlib.contextmanager
def stack_of_its_own(cloud: Cloud, engine: Engine, name: str = "test") -> Iterator[Stack]:
    """Make a stack; when the block ends no fault strikes any more and nothing is rented, whatever happened."""
    made = engine.stack(REPO, name)
    yield made
    calm(cloud)
    for row in cloud.rented():
        cloud.sandbox.market.destroy(row["id"])


def stack_id(stack: Stack) -> str:
    return next(
        str(row["outputs"]["stackId"]) for row in stack.resources() if row["type"].endswith("identity:Identity")
    )


def known(stack: Stack) -> dict[int, dict[str, Any]]:
    """Outputs of the instances in state, by id."""
    rows = [row for row in stack.resources() if row["type"].endswith("vast:Instance")]
    return {int(row["id"]): row["outputs"] for row in rows if row.get("id")}


def rents(cloud: Cloud) -> int:
    """How many instances were ever rented; a lost race for an offer is no rental."""
    return int(cloud.sandbox.status()["market"]["rented_in_all"])


def assert_books_agree(cloud: Cloud, stack: Stack) -> None:
    assert {row["id"] for row in cloud.rented()} == known(stack).keys()


def assert_all_serve(cloud: Cloud, stack: Stack, count: int) -> None:
    assert_books_agree(cloud, stack)
    found = stack.outputs()
    assert len(found["endpoints"]) == count
    for name, endpoint in found["endpoints"].items():
        assert probe(endpoint, found["caCertificate"], found["tokens"][name], "tiny", SystemClock(), 30).text, name


def sets_right(cloud: Cloud, stack: Stack, count: int) -> None:
    """`pulumi up --refresh` once the faults have ended, and in the end `pulumi destroy`."""
    calm(cloud)
    stack.up("--refresh")
    assert_all_serve(cloud, stack, count)
    stack.destroy()
    assert cloud.rented() == []
