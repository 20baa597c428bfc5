"""One provider process serves a whole stack: today's key reaches what leaves, and instances of older states move to it."""

import copy
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.cloud import ACCOUNT_KEY, REPO, Cloud
from tests.doubles.fleet_stack import assert_books_agree, known, rents
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=4)]

SCOPES = ("misc", "instance_read", "instance_write", "user_read")


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    made = engine.stack(REPO)
    yield made
    for row in cloud.rented():
        cloud.sandbox.market.destroy(row["id"])


def providers(stack: Stack) -> list[str]:
    """The names of the provider resources in state."""
    rows = stack.resources()
    return sorted(row["urn"].rpartition("::")[2] for row in rows if row["type"] == "pulumi:providers:pulumi-python")


def processes(engine: int) -> int:
    """How many processes hold dynamic providers below an engine."""
    lines = [Path(f"/proc/{each.pid}/cmdline").read_bytes().split(b"\0") for each in descendants(engine)]
    return sum(1 for line in lines if b"pulumi.dynamic" in line and b"python" in line[0])


def as_older_versions_wrote_it(deployment: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """The same state with one provider for the identity, one for the store, and one for each four instances.

    With `key`, those of the instances hold another key of the market.
    """
    old = copy.deepcopy(deployment)
    rows = old["resources"]
    (own,) = [row for row in rows if row["type"] == "pulumi:providers:pulumi-python"]
    made: dict[str, dict[str, Any]] = {}

    def provider(name: str) -> str:
        if name not in made:
            made[name] = copy.deepcopy(own)
            made[name]["urn"] = own["urn"].rpartition("::")[0] + f"::{name}"
            made[name]["id"] = secrets.token_hex(16)
            if name == "identity-provider":
                made[name]["inputs"] = made[name]["outputs"] = {}
            elif key is not None:
                for side in ("inputs", "outputs"):
                    made[name][side]["gpu-fleet:vastApiKey"] = key
        return f"{made[name]['urn']}::{made[name]['id']}"

    for row in rows:
        name = row["urn"].rpartition("::")[2]
        kind = row["type"].rpartition(":")[2]
        if kind == "Identity":
            row["provider"] = provider("identity-provider")
        elif kind == "Instance":
            fleet, _, index = name.rpartition("-")
            row["provider"] = provider(f"{fleet}-providers-{int(index) // 4}")
        elif "provider" in row and "pulumi-python" in row["provider"]:
            row["provider"] = provider("store-provider")
    place = rows.index(own)
    old["resources"] = [*rows[:place], *made.values(), *rows[place + 1 :]]
    return old


def write_state(stack: Stack, deployment: dict[str, Any]) -> None:
    file = stack.folder / "state.json"
    file.write_text(json.dumps({"version": 3, "deployment": deployment}))
    stack.call("stack", "import", "--stack", stack.name, "--file", str(file))


def test_six_instances_come_online_in_one_process_and_move_there_from_older_states(cloud: Cloud, stack: Stack) -> None:
    stack.write_config(cloud.stack_config(replicas=6))
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    lines = Lines(child)
    for index in range(6):
        lines.wait_for(f"chat-{index}  wait  ")
    assert processes(child.pid) == 1
    assert child.wait(timeout=200) == 0, lines.text
    before, rented = known(stack).keys(), rents(cloud)
    assert len(before) == 6

    write_state(stack, as_older_versions_wrote_it(stack.state()))
    assert providers(stack) == ["chat-providers-0", "chat-providers-1", "identity-provider", "store-provider"]
    stack.refresh()
    assert known(stack).keys() == before
    told = stack.preview().text
    assert "replace" not in told
    assert "change  " not in told
    stack.up()
    assert providers(stack) == ["account-provider"]
    assert known(stack).keys() == before
    assert rents(cloud) == rented
    assert_books_agree(cloud, stack)

    write_state(stack, as_older_versions_wrote_it(stack.state()))
    stack.destroy()
    assert stack.resources() == []
    assert cloud.rented() == []


def test_a_new_key_gives_back_what_leaves_in_the_same_update(cloud: Cloud, stack: Stack) -> None:
    account = httpx.Client(base_url=cloud.market_url, headers={"Authorization": f"Bearer {ACCOUNT_KEY}"})
    permissions: dict[str, Any] = {"api": {scope: {} for scope in SCOPES}}
    key = account.post("/api/v0/auth/apikeys/", json={"name": "old", "permissions": permissions}).json()
    config = cloud.stack_config(replicas=5)
    config["gpu-fleet:fleets"]["other"] = {**config["gpu-fleet:fleets"]["chat"], "replicas": 1}
    config["gpu-fleet:vastApiKey"] = key["key"]
    stack.write_config(config)
    stack.up()
    assert len(known(stack)) == 6

    account.delete(f"/api/v0/auth/apikeys/{key['id']}/").raise_for_status()
    config["gpu-fleet:vastApiKey"] = ACCOUNT_KEY
    config["gpu-fleet:fleets"]["chat"]["replicas"] = 4
    del config["gpu-fleet:fleets"]["other"]
    stack.write_config(config)
    stack.up()

    assert len(known(stack)) == len(cloud.rented()) == 4
    assert_books_agree(cloud, stack)
    stack.destroy()
    assert cloud.rented() == []
