"""Slots on the real engine: two boot at once beside a human's `up`, a replacement spares them, a destroy ends them all."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from cli.ask import client, complete
from config.slot_names import SlotName
from controller.pulumi_cli import PulumiFolders
from controller.slot_stack import SlotError, SlotStack, read_parent
from controller.world.hosts import logged_in
from controller.world.stacks import address_of
from providers.elastic.applied import Applied
from providers.elastic.slot_output import SlotOutput
from providers.vast.api.instance import Instance
from providers.vast.api.rows import read
from providers.vast.pulumi_state import states
from providers.vast.renting.ownership import Kind, sort_out
from tests.doubles.cloud import Cloud
from tests.doubles.documented import commands_of
from tests.doubles.fleet_stack import PATIENT, rents, stack_id, stack_of_its_own
from tests.doubles.processes import descendants
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until
from tests.engine.test_operating import blocks, follow
from tests.engine.test_renewal import let_it_end_soon

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=4)]

BOOTS = "rent"
LONG_SECONDS = 25  # of an answer: a destroy comes to the slots sooner, and waits for longer


@dataclass
class Slot:
    """One slot's stack and what its last command told."""

    stack: SlotStack
    told: list[str] = field(default_factory=list)
    boots: Event = field(default_factory=Event)

    def progress(self, phase: str, text: str) -> None:
        self.told.append(f"{phase}: {text}")
        if phase == BOOTS:
            self.boots.set()

    def up(self) -> SlotOutput:
        return self.stack.up(self.progress)


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    with stack_of_its_own(cloud, engine, "dev") as made:
        config = cloud.stack_config()
        fleets = config["gpu-fleet:fleets"]
        fleets["burst"] = {**fleets.pop("chat"), "replicas": {"max": 2}}
        config |= {"gpu-fleet:clients": {"team": {}}, "gpu-fleet:limits": dict(PATIENT)}
        made.write_config(config)
        made.up()
        assert cloud.rented() == [], "an elastic fleet rents nothing by itself"
        yield made


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> PulumiFolders:
    return PulumiFolders(stack.folder, tmp_path / "work")


def slot(stack: Stack, place: PulumiFolders, index: int) -> Slot:
    return Slot(SlotStack(SlotName("dev", "burst", index), place, stack.env))


def applied(stack: Stack, place: PulumiFolders) -> Applied:
    found = read_parent("dev", place, stack.env)
    assert found is not None
    assert found.unreadable == {}
    return found


def assert_serves(found: SlotOutput, main: Applied) -> None:
    token = main.token(found.name)
    assert probe(found.endpoint, main.ca_certificate, token, "tiny", SystemClock(), 30).text


def let_answers_take(found: SlotOutput, main: Applied, seconds: float) -> None:
    """Have the vLLM of a slot's host take so long for each answer."""
    address = address_of(found, main)
    assert address is not None
    with closing(logged_in(address)) as host:
        assert host.run(f"echo vllm_latency_s {seconds} > /etc/sandbox-faults").status == 0


def kinds(cloud: Cloud, stack: Stack) -> dict[str, Kind]:
    """What a sweep says of each rented instance, by name."""

    def run(words: Sequence[str]) -> str:
        return stack.call(*words).stdout

    listed = read(cloud.rented(), Instance)
    found = sort_out(listed, states(run, "dev"), frozenset({stack_id(stack)}))
    return {str(one.instance.label).rpartition("/")[2]: one.kind for one in found}


def assert_no_secret_in_the_clear(stack: Stack, main: Applied, names: Sequence[str]) -> None:
    """No file of the backend shows a secret. The main stack's config has the sandbox's public keys in the clear."""
    made = [main.token_secret, main.ssh_key, main.clients["team"].api_key]
    plain = [secret.get_secret_value().strip() for secret in made] + [main.token(name) for name in names]
    public = [secret.get_secret_value() for secret in main.keys.values() if len(secret.get_secret_value()) > 8]
    backend = Path(urlsplit(stack.env["PULUMI_BACKEND_URL"]).path)
    files = [file for file in backend.rglob("*.json*") if file.is_file()]
    assert [file for file in files if ".slot." in file.name]
    for file in files:
        text = file.read_text()
        hidden = [*plain, *public] if ".slot." in file.name else plain
        assert not [secret for secret in hidden if json.dumps(secret)[1:-1] in text], file


@contextmanager
def at_once() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def ended(slots: Sequence[Slot]) -> None:
    for one in slots:
        one.stack.destroy(one.progress)
        one.stack.remove()
        assert one.stack.look().output is None


def test_slots_live_beside_their_main_stack_and_end_with_it(cloud: Cloud, stack: Stack, place: PulumiFolders) -> None:
    main, checkout = applied(stack, place), sorted(stack.folder.iterdir())
    one, two = slot(stack, place, 0), slot(stack, place, 1)
    with at_once() as pool:
        first: Future[SlotOutput] = pool.submit(one.up)
        assert one.boots.wait(60) or not first.done(), first
        assert kinds(cloud, stack) == {"burst-s0": Kind.CREATING}, "what boots is never unknown"
        second = pool.submit(two.up)
        stack.up()  # a person's update is not blocked by a boot
        served = [first.result(200), second.result(200)]
    for found in served:
        assert_serves(found, main)
        assert found.digest == main.fleets["burst"].digest
    assert kinds(cloud, stack) == {"burst-s0": Kind.KNOWN, "burst-s1": Kind.KNOWN}
    assert {row["id"] for row in cloud.rented()} == {found.instance_id for found in served}

    look = one.stack.refresh(one.progress)
    assert (look.output, look.dead, look.drift) == (served[0], False, ())
    again = one.up()
    assert again.instance_id == served[0].instance_id

    rentals = next(row["urn"] for row in stack.resources() if row["type"].endswith("rentals:Rentals"))
    stack.up("--replace", rentals)
    assert {row["id"] for row in cloud.rented()} == {found.instance_id for found in served}

    assert_no_secret_in_the_clear(stack, main, [found.name for found in served])
    assert sorted(stack.folder.iterdir()) == checkout
    assert list(place.work.iterdir()) == []

    let_answers_take(served[0], main, LONG_SECONDS)
    with at_once() as pool, client(served[0].endpoint, main.token(served[0].name), main.ca_certificate) as http:
        answer = pool.submit(complete, http, "tiny", "Hello", 8)
        told = stack.destroy().text
        assert answer.result(1), "it came before the instance was given back"
    for found in served:
        assert f"instance {found.instance_id} (" in told
        assert f"/{found.name}): no request is under way" in told
    assert cloud.rented() == []
    with pytest.raises(SlotError, match="main stack"):
        slot(stack, place, 2).up()
    ended([one, two, slot(stack, place, 2)])
    listed = json.loads(stack.call("stack", "ls", "--json").stdout)
    assert [row["name"] for row in listed] == ["dev"]


def test_a_destroy_of_the_main_stack_ends_a_slot_that_boots_and_it_leaves_nothing(
    cloud: Cloud, stack: Stack, place: PulumiFolders
) -> None:
    begun = rents(cloud)
    cloud.arm("never-boots", 8)
    one = slot(stack, place, 0)
    with at_once() as pool:
        booting = pool.submit(one.up)
        until(lambda: bool(cloud.rented()), "a rent")
        stack.destroy()
        # A rent whose reply takes longer than the destroy looks shows only now. The create gives it back itself.
        with pytest.raises(SlotError):
            booting.result(200)
    assert cloud.rented() == []
    assert rents(cloud) <= begun + 3, one.told
    ended([one])


def test_a_slot_whose_up_was_killed_goes_on_with_its_instance(cloud: Cloud, stack: Stack, place: PulumiFolders) -> None:
    begun = rents(cloud)
    one = slot(stack, place, 0)
    with at_once() as pool:
        killed = pool.submit(one.up)
        assert one.boots.wait(60) or not killed.done(), killed
        until(lambda: bool(cloud.rented()), "a rent")
        for process in descendants(os.getpid()):
            if Path(f"/proc/{process.pid}/comm").read_text().strip() == "pulumi":
                os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(SlotError):
            killed.result(60)
    found = one.up()
    assert_serves(found, applied(stack, place))
    assert [row["id"] for row in cloud.rented()] == [found.instance_id]
    assert rents(cloud) <= begun + 2
    assert one.stack.look().pending is False
    one.stack.destroy(one.progress)
    assert cloud.rented() == []
    one.stack.remove()
    stack.destroy()


def test_the_page_s_commands_end_slots_with_and_without_their_main_stack(
    cloud: Cloud, stack: Stack, place: PulumiFolders
) -> None:
    by_hand, after_the_end = blocks("Slots are to end, or their controller is dead")
    slot(stack, place, 0).up()
    assert "Slots of elastic fleets, which the controller starts and ends: burst-s0" in follow(
        stack, ["gpu-fleet status"]
    )
    told = follow(stack, [one for one in commands_of("docs/elastic.md") if one.startswith("gpu-fleet ")])
    assert "burst-s0 (https://" in told
    assert told.partition("$ gpu-fleet log burst-s0\n")[2].strip()
    let_it_end_soon(stack, "dev.slot.burst-0")
    assert "To renew: burst-s0." in follow(stack, ["gpu-fleet renew"])
    assert "To renew: burst-s0." not in follow(stack, ["gpu-fleet renew"])
    told = follow(stack, by_hand)
    assert "slot dev.slot.burst-0: instance " in told
    assert "dev.slot.burst-0  removed" in told
    assert cloud.rented() == []

    one = slot(stack, place, 1)
    one.up()
    told = follow(stack, after_the_end)
    assert "dev.slot.burst-1  removed" in told
    assert cloud.rented() == []
    assert json.loads(stack.call("stack", "ls", "--json").stdout) == []
