"""`gpu-fleet` beside the real engine: what it tells apart, gives back, has adopted and explains, also where
the state is locked or broken."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.instance_request import rent_body
from tests.doubles.cloud import ACCOUNT_KEY, IMAGE, REPO, Cloud
from tests.doubles.fleet_stack import stack_id
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=4)]


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack whose one instance is up; nothing is rented afterwards, whatever happened."""
    made = engine.stack(REPO)
    made.write_config(cloud.stack_config())
    made.up()
    yield made
    for row in cloud.rented():
        cloud.sandbox.market.destroy(row["id"])


def command(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["gpu-fleet", words[0], "--stack", stack.name, *words[1:]],
        cwd=stack.folder,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def swept(stack: Stack, *words: str) -> tuple[int, dict[int, dict[str, Any]]]:
    """Exit status and instances of `sweep --json`, by id."""
    done = command(stack, "sweep", "--json", *words)
    assert done.stdout, done.stderr
    return done.returncode, {row["id"]: row for row in json.loads(done.stdout)["instances"]}


def rent(cloud: Cloud, label: str) -> int:
    """Rent the cheapest offer, as somebody would who dies right after."""
    client = VastClient(cloud.market_url, ACCOUNT_KEY, NoRateLimit(), SystemClock())
    offers = client.search({"order": [["dph_total", "asc"]], "limit": 1, "type": "on-demand", "rentable": {"eq": True}})
    number = client.rent(offers[0].id, rent_body(IMAGE, 20, label, "true", 8443))
    client.close()
    return number


def test_every_instance_is_told_apart_and_only_the_forgotten_one_given_back(cloud: Cloud, stack: Stack) -> None:
    known = cloud.rented()[0]["id"]
    forgotten = rent(cloud, f"gpu-fleet/{stack_id(stack)}/chat-1")
    others, foreign = rent(cloud, "gpu-fleet/somebody/chat-0"), rent(cloud, "mine")
    locks = stack.folder.parent / "backend" / ".pulumi" / "locks" / "organization" / "gpu-fleet" / stack.name
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.json").write_text(
        json.dumps({"pid": 1, "username": "u", "hostname": "h", "timestamp": "2026-01-01T00:00:00Z"})
    )
    assert "locked" in stack.up(check=False).text

    status, found = swept(stack)

    assert status == 2
    assert {number: row["kind"] for number, row in found.items()} == {
        known: "known",
        forgotten: "ours-but-unknown",
        others: "another-stack",
        foreign: "foreign",
    }
    status, found = swept(stack, "--destroy")
    assert status == 0
    assert found[forgotten]["outcome"] == "given back, and the market confirms it"
    assert {row["id"] for row in cloud.rented()} == {known, others, foreign}
    told = command(stack, "explain", "chat-1").stdout
    assert "given back by `sweep`" in told, told


def test_what_state_forgot_is_adopted_and_explained(cloud: Cloud, stack: Stack) -> None:
    known = cloud.rented()[0]
    urn = next(row["urn"] for row in stack.resources() if row["type"].endswith("vast:Instance"))
    stack.call("state", "delete", "--yes", "--stack", stack.name, urn)
    assert swept(stack)[1][known["id"]]["kind"] == "ours-but-unknown"

    done = command(stack, "adopt", known["label"], "--yes")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"takes over instance {known['id']}" in done.stdout
    status, found = swept(stack)
    assert status == 0
    assert {number: row["kind"] for number, row in found.items()} == {known["id"]: "known"}
    told = command(stack, "explain", "chat-0").stdout
    assert told.startswith("chat-0: 2 attempts in the ledger")
    assert f"instance {known['id']}" in told
    assert "an instance that was there already" in told
    again = command(stack, "adopt", known["label"])
    assert again.returncode == 1
    assert "the state has chat-0 already" in again.stderr


def test_why_an_offer_is_not_taken(cloud: Cloud, stack: Stack) -> None:
    client = VastClient(cloud.market_url, ACCOUNT_KEY, NoRateLimit(), SystemClock())
    other = client.search({"gpu_name": {"eq": "H100 SXM"}, "limit": 1})[0]
    client.close()

    told = command(stack, "why-not", str(other.id), "chat")

    assert told.returncode == 0, told.stderr
    assert "fails gpu.name: it has H100 SXM" in told.stdout
    assert "does not list offer 1:" in command(stack, "why-not", "1", "chat").stdout
    assert "there is no fleet nope; the stack has chat" in command(stack, "why-not", "1", "nope").stderr


def test_a_broken_state_makes_nothing_ours_until_its_id_is_given(cloud: Cloud, stack: Stack) -> None:
    known, own = cloud.rented()[0]["id"], stack_id(stack)
    (stack.folder.parent / "backend" / ".pulumi" / "stacks" / "gpu-fleet" / f"{stack.name}.json").write_text("{ broken")

    told = command(stack, "sweep", "--destroy")

    assert told.stdout.startswith(f"The state of {stack.name} cannot be read"), told.stdout + told.stderr
    assert "another-stack" in told.stdout
    assert [row["id"] for row in cloud.rented()] == [known]
    status, _found = swept(stack, "--destroy", "--stack-id", own)
    assert status == 0
    assert cloud.rented() == []
