"""Every fault of the sandbox through the real engine, many at a time: each strikes one instance of a fleet, or the whole
account, while `pulumi up` makes it. The witness is the market's own records: nothing is rented that the state does not know,
nothing is known that is not rented, and what did not come up says why. Then the operator's next step sets it right.
"""

import re
from pathlib import Path

import pytest

from providers.store.client import Keys, connect
from sandbox.faults.catalogue import FAULTS
from sandbox.services.object_store import ADMIN, REGION
from tests.doubles.cloud import REPO, Cloud, running_cloud
from tests.doubles.fleet_stack import (
    assert_all_serve,
    assert_books_agree,
    calm,
    known,
    sets_right,
    stack,
    want,
)
from tests.doubles.pulumi_stack import Engine, Stack
from weights.manifest import blob_key

__all__ = ["stack"]  # a fixture

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(900), pytest.mark.rotating(of=8)]

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
        "late-in-reads",
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
    "slow life": (
        "unknown-for-a-while",
        "reboots-slowly",
        "contract-ends",
        "price-rises-later",
        "price-rise-announced",
        "ports-late",
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
        "log-missing",
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
    "container": (
        "small-slice",
        "small-slice-cgroup-v1",
        "few-processes",
        "late-ssh",
        "late-ssh-by-apt",
        "onstart-unlogged",
        "noisy-log",
        "talking-shell",
        "keys-rewritten",
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
        "vllm-gpu-too-small",
        "vllm-gpu-too-old",
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
        "search-quota-exceeded",
        "edge-forbids",
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
        "odd-offer",
        "odd-instance",
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
        "store-times-out",
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
    "no-credit": "Add credit",
    "credit-exhausted": "Add credit",
    "no-credit-but-rented": "Add credit",
    "store-forbidden": "the store answers 403",
}
OUTAGES = ("api-down",)  # in test_outages.py
AT_DESTROY = ("lost-destroy-reply", "destroy-error-but-gone", "destroy-without-effect", "destroy-404-but-alive")
BLOBS = ("corrupt-blob", "truncated-blob")
STORES = ("store-bucket-late", "store-has-tags", "store-wants-md5", "store-slow-for-all")  # in test_stores.py
NEVER_ASKED = ("start-unavailable",)  # nothing of ours starts an instance that was stopped: it is replaced


@pytest.mark.rotating(of=1)
def test_every_fault_of_the_catalogue_has_its_place() -> None:
    groups = [
        *OF_ONE_INSTANCE.values(),
        *BORNE.values(),
        REFUSED,
        OUTAGES,
        AT_DESTROY,
        BLOBS,
        STORES,
        NEVER_ASKED,
    ]
    placed = [name for group in groups for name in group]

    # Faults of Hetzner's API strike no instance: tests/sandbox/hetzner plays them.
    assert sorted(placed) == sorted(name for name, fault in FAULTS.items() if fault.room != "hetzner")


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
    for number, name in enumerate(BORNE[group]):
        # Spread over the update: a call that is struck again and again is given up at some time, and rightly.
        cloud.sandbox.arm(name, nth=1 + 4 * number)

    done = stack.up()

    assert "Traceback" not in done.text
    assert_all_serve(cloud, stack, 3)
    sets_right(cloud, stack, 3)


@pytest.mark.parametrize("name", REFUSED)
def test_an_update_that_is_refused_says_why_and_leaves_nothing(cloud: Cloud, stack: Stack, name: str) -> None:
    want(cloud, stack, 1)
    # Once is not enough for the store: the ledger asks it, too, and gets over a refusal.
    cloud.sandbox.arm(name, times=500 if name == "store-forbidden" else None)

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
def test_a_damaged_blob_serves_nobody_and_is_uploaded_anew(tmp_path: Path, engine: Engine, name: str) -> None:
    with running_cloud(tmp_path / "cloud") as cloud:  # of its own: the largest blob of the whole store is struck
        stack = engine.stack(REPO)
        want(cloud, stack, 0)
        stack.up()
        assert_heals(cloud, stack, name)


def assert_heals(cloud: Cloud, stack: Stack, name: str) -> None:
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
