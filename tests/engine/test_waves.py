"""Waves on the real engine: what clients see while six instances are changed, replaced, or fail to be."""

import json
import os
import signal
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.doubles.cloud import Cloud
from tests.doubles.fleet_stack import assert_all_serve, assert_books_agree, rents, stack_of_its_own
from tests.doubles.lines import Lines
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=6)]

REPLICAS, MOST = 6, 2
GATE = "8443"


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    with stack_of_its_own(cloud, engine) as made:
        yield made


@dataclass
class Clients:
    """Ask every endpoint of the fleet again and again; `worst` is how many did not answer in one round."""

    cloud: Cloud
    tokens: dict[str, str]
    worst: int = 0
    down: set[str] = field(default_factory=set)
    rounds: int = 0
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Clients":
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        context = ssl._create_unverified_context()
        while not self._end.is_set():
            ports = {row["label"].rpartition("/")[2]: row["ports"].get(GATE) for row in self.cloud.rented()}
            silent = {name for name in self.tokens if not _answers(ports.get(name), self.tokens[name], context)}
            self.worst = max(self.worst, len(silent))
            self.down |= silent
            self.rounds += 1
            time.sleep(0.05)


def _answers(port: int | None, token: str, context: ssl.SSLContext) -> bool:
    if port is None:
        return False
    request = urllib.request.Request(
        f"https://127.0.0.1:{port}/v1/models", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def ids(cloud: Cloud) -> dict[str, int]:
    return {row["label"].rpartition("/")[2]: row["id"] for row in cloud.rented()}


def test_six_are_made_at_once_and_changed_two_at_a_time(cloud: Cloud, stack: Stack) -> None:
    begun = rents(cloud)
    config = cloud.stack_config(replicas=REPLICAS, rollout={"maxUnavailable": MOST})
    stack.write_config(config)
    made = stack.up()
    starts = [made.text.index(f"chat-{index}  rent  ") for index in range(REPLICAS)]
    ends = [made.text.index(f"chat-{index}  probe  ") for index in range(REPLICAS)]
    assert max(starts) < min(ends), "creating waits for nobody"
    before, tokens = ids(cloud), stack.outputs()["tokens"]

    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = ["--max-model-len", "128"]
    stack.write_config(config)
    foretold = stack.preview().text
    assert "chat  effect  endpoint closed while vLLM restarts" in foretold
    assert "6 of 6, 2 at a time" in foretold
    with Clients(cloud, tokens) as clients:
        changed = stack.up()
    assert ids(cloud) == before
    assert clients.worst == MOST, (clients, changed.text)
    assert clients.down == set(before)
    assert "wave  waits until chat-" in changed.text

    config["gpu-fleet:fleets"]["chat"]["diskGb"] = 24
    stack.write_config(config)
    foretold = stack.preview().text
    assert "chat  effect  endpoint closed until another machine serves" in foretold
    assert "the fleet then costs about $" in foretold
    with Clients(cloud, tokens) as clients:
        replaced = stack.up()
    assert not set(ids(cloud).values()) & set(before.values())
    assert clients.worst == MOST, (clients, replaced.text)
    assert_all_serve(cloud, stack, REPLICAS)

    before = ids(cloud)
    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = ["--max-model-len", "99999999"]
    stack.write_config(config)
    with Clients(cloud, tokens) as clients:
        failed = stack.up(check=False)
    assert failed.status != 0
    assert clients.worst <= MOST, (clients, failed.text)
    assert len(clients.down) <= MOST, (clients, failed.text)
    assert "it is left as it is, because chat-" in failed.text
    assert ids(cloud) == before
    print(json.dumps({"rounds": clients.rounds}))

    config["gpu-fleet:fleets"]["chat"]["vllmArguments"] = ["--max-model-len", "128"]
    stack.write_config(config)
    stack.up()
    assert_all_serve(cloud, stack, REPLICAS)
    stack.destroy()
    assert cloud.rented() == []
    assert rents(cloud) - begun == 2 * REPLICAS


def test_ctrl_c_leaves_those_that_wait_as_they_are(cloud: Cloud, stack: Stack) -> None:
    config = cloud.stack_config(replicas=3)
    stack.write_config(config)
    stack.up()
    before = set(ids(cloud).values())
    config["gpu-fleet:fleets"]["chat"]["diskGb"] = 24
    stack.write_config(config)
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    lines = Lines(child)
    lines.wait_for("  wave  waits until chat-")
    lines.wait_for("  rent  ")

    os.killpg(child.pid, signal.SIGINT)

    assert lines.shows("because the update was interrupted"), lines.text
    child.wait(200)
    assert len(before & set(ids(cloud).values())) == 2, lines.text
    assert_books_agree(cloud, stack)
    stack.up()
    assert not before & set(ids(cloud).values())
    assert_all_serve(cloud, stack, 3)
    stack.destroy()
