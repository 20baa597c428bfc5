"""Every fault of the sandbox through the real engine, many at a time: each strikes one instance of a fleet, or the whole
account, while `pulumi up` makes it. The witness is the market's own books: nothing is rented that the state does not know,
nothing is known that is not rented, and what did not come up says why. Then the operator's next step sets it right.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from bootstrap.manifest import blob_key
from bootstrap.probe import probe
from providers.store.client import Keys, connect
from sandbox.faults.catalogue import FAULTS
from sandbox.services.object_store import ADMIN, REGION
from tests.doubles.cloud import LIMITS, REPO, Cloud, running_cloud
from tools.stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(900)]

# Each list is one fleet; its n-th fault is armed for its n-th instance. Slow ones stand together.
OF_ONE_INSTANCE = {
    "rent": (
        "lost-create-reply",
        "create-error-but-rented",
        "create-bad-gateway-but-rented",
        "offer-taken",
        "offer-taken-404",
        "offer-taken-400",
        "stopped-contract",
        "duplicate-instance",
        "price-rises",
    ),
    "life": (
        "never-boots",
        "image-pull-fails",
        "container-start-fails",
        "boots-then-exits",
        "vanishes-in-boot",
        "vanishes-later",
        "reclaimed",
        "host-reboots",
    ),
    "address": (
        "ports-missing",
        "wrong-ports",
        "wrong-address",
        "moved-ports",
        "stranger-at-address",
        "log-empty",
        "log-late",
        "log-cut",
    ),
    "host": (
        "ssh-closed",
        "other-host-key-first",
        "other-host-key-later",
        "slow-host",
        "disk-full",
        "gpu-missing",
        "gpu-driver-broken",
        "clock-off",
    ),
    "slow host": (
        "gate-closed",
        "silent-host",
        "dead-link",
        "cut-link",
        "frozen-host",
        "create-hangs-but-rented",
        "host-off",
    ),
    "vllm": (
        "vllm-dies-at-start",
        "vllm-out-of-memory",
        "vllm-hangs",
        "vllm-dies-later",
        "vllm-broken",
        "vllm-slow-start",
    ),
}
# Each strikes whatever the account asks first, and is got over without anybody noticing.
BORNE = {
    "market": (
        "rate-limited",
        "rate-limited-with-hint",
        "rate-limited-without-hint",
        "server-error",
        "bad-gateway",
        "unavailable",
        "empty-body",
        "null-body",
        "empty-object",
        "proxy-page",
        "refused-with-200",
        "slow-answer",
        "cut-answer",
        "lost-reply",
    ),
    "lists": (
        "lying-empty-list",
        "list-row-missing",
        "list-page-missing",
        "stale-list",
        "missing-in-show",
        "hung-answer",
    ),
    "store": (
        "store-throttled",
        "store-slow-down",
        "store-error",
        "store-slow",
        "store-truncated",
        "store-flipped",
    ),
}
# Each ends an update with this in its message.
REFUSED = {
    "auth-error": "does not accept the key",
    "session-expired": "does not accept the key",
    "key-revoked": "does not accept the key",
    "deprecated-route": "HTTP 410 deprecated_endpoint",
    "search-quota-exceeded": "",
    "no-credit": "Add credit",
    "credit-exhausted": "Add credit",
    "store-forbidden": "storeSecretKey",
}
AT_DESTROY = ("lost-destroy-reply", "destroy-error-but-gone", "destroy-without-effect", "destroy-404-but-alive")
BLOBS = ("corrupt-blob", "truncated-blob")
NEVER_ASKED = ("start-unavailable",)  # nothing of ours starts an instance that was stopped: it is replaced


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack without instances; the books are empty afterwards, whatever happened."""
    made = engine.stack(REPO)
    made.env["TMPDIR"] = str(made.folder.parent)
    want(cloud, made, 0)
    made.up()
    yield made
    calm(cloud)
    for row in cloud.rented():
        cloud.sandbox.books.destroy(row["id"])


def want(cloud: Cloud, stack: Stack, replicas: int) -> None:
    """Set the size of the fleet, and limits that let a test see the end of what never comes."""
    config = stack.read_config() if (stack.folder / f"Pulumi.{stack.name}.yaml").exists() else {}
    fresh = cloud.stack_config(replicas=replicas)
    if config:
        fresh["gpu-fleet:store"] = config["gpu-fleet:store"]
    fresh["gpu-fleet:limits"] = {**LIMITS, "bootMinutes": 10, "connectMinutes": 0.15}
    stack.write_config(fresh)


def calm(cloud: Cloud) -> None:
    """End every fault."""
    for name in cloud.sandbox.status()["faults"]:
        cloud.sandbox.disarm(name)


def known(stack: Stack) -> dict[int, dict[str, Any]]:
    """Outputs of the instances in state, by id."""
    rows = [row for row in stack.resources() if row["type"].endswith("vast:Instance")]
    return {int(row["id"]): row["outputs"] for row in rows if row.get("id")}


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


def test_every_fault_of_the_catalogue_has_its_place() -> None:
    groups = [*OF_ONE_INSTANCE.values(), *BORNE.values(), REFUSED, AT_DESTROY, BLOBS, NEVER_ASKED]
    placed = [name for group in groups for name in group]

    assert sorted(placed) == sorted(FAULTS)


@pytest.mark.parametrize("group", OF_ONE_INSTANCE)
def test_a_fleet_whose_every_instance_is_struck(cloud: Cloud, stack: Stack, group: str) -> None:
    names = OF_ONE_INSTANCE[group]
    want(cloud, stack, len(names))
    for number, name in enumerate(names):
        cloud.sandbox.arm(name, instance=f"chat-{number}")

    done = stack.up(check=False)

    assert "Traceback" not in done.text
    serving = {outputs["name"] for outputs in known(stack).values()}
    for number, name in enumerate(names):
        said = re.search(rf"error: .*chat-{number}: \S", done.text)
        assert f"chat-{number}" in serving or said, f"{name}: {done.text}"
    assert_books_agree(cloud, stack)
    sets_right(cloud, stack, len(names))


@pytest.mark.parametrize("group", BORNE)
def test_a_fleet_in_an_account_that_is_struck(cloud: Cloud, stack: Stack, group: str) -> None:
    want(cloud, stack, 3)
    for name in BORNE[group]:
        cloud.sandbox.arm(name)

    done = stack.up()

    assert "Traceback" not in done.text
    assert_all_serve(cloud, stack, 3)
    sets_right(cloud, stack, 3)


@pytest.mark.parametrize("name", REFUSED)
def test_an_update_that_is_refused_says_why_and_leaves_nothing(cloud: Cloud, stack: Stack, name: str) -> None:
    want(cloud, stack, 1)
    cloud.sandbox.arm(name)

    done = stack.up(check=False)

    assert done.status != 0
    assert REFUSED[name] in done.text
    assert "Traceback" not in done.text
    assert cloud.rented() == []
    calm(cloud)
    stack.up()
    assert_all_serve(cloud, stack, 1)


def test_a_destroy_that_is_struck_gives_everything_back_all_the_same(cloud: Cloud, stack: Stack) -> None:
    want(cloud, stack, len(AT_DESTROY))
    stack.up()
    for number, name in enumerate(AT_DESTROY):
        cloud.sandbox.arm(name, instance=f"chat-{number}")

    stack.destroy()

    assert cloud.rented() == []


@pytest.mark.parametrize("name", BLOBS)
def test_a_damaged_blob_serves_nobody_and_is_uploaded_anew(cloud: Cloud, stack: Stack, name: str) -> None:
    want(cloud, stack, 1)
    cloud.sandbox.arm(name)

    done = stack.up(check=False)

    assert done.status != 0
    assert cloud.rented() == []
    if name == "corrupt-blob":
        damaged = re.search(rf"delete ({blob_key('')}[0-9a-f]{{64}}) from it", done.text)
        assert damaged, done.text
        s3 = connect(cloud.store_endpoint, REGION, Keys(ADMIN.access_key, ADMIN.secret_key))
        s3.delete_object(Bucket=stack.read_config()["gpu-fleet:store"]["bucket"], Key=damaged[1])
    sets_right(cloud, stack, 1)
