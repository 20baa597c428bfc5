"""The controller as a process, over the real engine, emulated hosts and PostgreSQL: a claim from nothing to nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from bootstrap.scripts.self_destruct_rules import QUIET_SECONDS
from controller.pulumi_cli import PulumiFolders
from controller.slot_stack import read_parent
from providers.elastic.applied import Applied
from sandbox.services.postgres import Postgres
from tests.doubles.at_once import at_once
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.controller_process import ControllerProcess
from tests.doubles.database import fresh_database
from tests.doubles.fleet_stack import rents, stack_of_its_own
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until

pytestmark = [pytest.mark.engine, pytest.mark.host]

BOOT_SECONDS, END_SECONDS = 180.0, 120.0
SEAMS = REPO / "tests" / "doubles" / "controller_seams"
LEASE_SECONDS = 90.0  # a controller renews each minute
CALLERS = 100


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    with stack_of_its_own(cloud, engine, "dev") as made:
        config = cloud.stack_config()
        fleets = config["gpu-fleet:fleets"]
        fleets["burst"] = {**fleets.pop("chat"), "replicas": {"max": 2, "downSeconds": 5, "idleSeconds": 5}}
        config["gpu-fleet:budget"] = {"usdPerDay": 100_000, "usdPerMonth": 1_000_000}  # at the market's pace here
        config["gpu-fleet:clients"] = {"team": {"maxInstances": 2}}
        made.write_config(config)
        made.up()
        yield made


@pytest.fixture
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    with fresh_database(server) as dsn:
        yield dsn
    server.remove()


@pytest.fixture
def main(stack: Stack, tmp_path: Path) -> Applied:
    found = read_parent("dev", PulumiFolders(stack.folder, tmp_path / "work"), stack.env)
    assert found is not None
    return found


@pytest.fixture
def controller(stack: Stack, main: Applied, dsn: str, tmp_path: Path) -> Iterator[ControllerProcess]:
    key = main.clients["team"].api_key.get_secret_value()
    made = ControllerProcess(stack.folder, stack.env, tmp_path / "controller.log", "dev", dsn, key)
    made.start()
    yield made
    made.kill()
    for name in (name for name in stack_names(stack) if ".slot." in name):
        stack.call("destroy", "--stack", name, "--yes", "--skip-preview", "--run-program=false", check=False)


def stack_names(stack: Stack) -> list[str]:
    return [line.split()[0].rstrip("*") for line in stack.call("stack", "ls").stdout.splitlines()[1:] if line.strip()]


def claimed(controller: ControllerProcess, main: Applied, key: str) -> str:
    """Claim an instance of the fleet, and return the claim's id."""
    wanted = {"model": main.fleets["burst"].model, "gpu_type": main.fleets["burst"].gpus[0]}
    headers = {"X-API-Key": controller.key, "Idempotency-Key": key}
    url = f"http://127.0.0.1:{controller.port}/provision"
    asked = httpx.post(url, headers=headers, json=wanted, trust_env=False, timeout=60)
    assert asked.status_code == 202, asked.text
    return str(asked.json()["id"])


def assert_serves(controller: ControllerProcess, main: Applied, claim: str) -> None:
    """Wait until a claim is served by one instance, and ask that for a completion."""
    controller.until(controller.is_ready)
    controller.until(lambda: controller.call("GET", f"/provision/{claim}").json()["status"] == "ready", BOOT_SECONDS)
    [instance] = controller.call("GET", f"/provision/{claim}").json()["instances"]
    assert probe(instance["endpoint"], main.ca_certificate, instance["token"], "tiny", SystemClock(), 30).text


def killed_at(controller: ControllerProcess, seam: str, folder: Path) -> None:
    """Start a controller that is killed right after a seam (`<n>:<name>`)."""
    folder.mkdir()
    (folder / "arm").write_text(f"{seam} after")
    strikes = {"SEAMS_FILE": str(folder / "seams"), "SEAMS_ARM": str(folder / "arm")}
    plain, controller.env, controller.before = controller.env, {**controller.env, **strikes}, [SEAMS]
    controller.start()
    controller.env, controller.before = plain, []


def test_a_claim_is_served_survives_the_controllers_end_and_leaves_nothing_behind(
    cloud: Cloud, stack: Stack, main: Applied, controller: ControllerProcess
) -> None:
    controller.until(controller.is_ready)
    # A hundred callers with one key get one claim, and one instance.
    [claim] = set(at_once(CALLERS, lambda _number: claimed(controller, main, "build-17")))

    assert_serves(controller, main, claim)
    [rented] = cloud.rented()

    # Killed, and started again: the row tells it what was meant.
    controller.kill()
    controller.start()
    controller.until(controller.is_ready)
    assert controller.call("GET", f"/provision/{claim}").json()["status"] == "ready"
    assert [row["id"] for row in cloud.rented()] == [rented["id"]]

    # Ended in order, within seconds: no slot ends by it.
    status, seconds = controller.end()
    assert (status, seconds < 15) == (0, True)
    assert [row["id"] for row in cloud.rented()] == [rented["id"]]
    controller.start()
    controller.until(controller.is_ready)

    assert controller.call("DELETE", f"/provision/{claim}").status_code == 200
    controller.until(lambda: not cloud.rented(), END_SECONDS)
    controller.until(lambda: [name for name in stack_names(stack) if ".slot." in name] == [])

    text = controller.call("GET", "/metrics").text
    assert 'vast_controller_desired_instances{fleet="burst"} 0.0' in text
    assert "vast_controller_leads 1.0" in text
    said = controller.said()
    assert main.clients["team"].api_key.get_secret_value() not in said
    assert main.token("burst-s0") not in said


@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_a_controller_that_is_killed_at_five_moments_of_a_slots_life_serves_its_claim_by_one_instance(
    cloud: Cloud, stack: Stack, main: Applied, controller: ControllerProcess, tmp_path: Path
) -> None:
    begun = rents(cloud)
    controller.until(controller.is_ready)
    claim = claimed(controller, main, "one")
    controller.until(lambda: bool(cloud.rented()), BOOT_SECONDS)
    controller.kill()  # while the instance boots: whoever rents gives back, or the next one takes it over

    killed_at(controller, "1:commit insert into gpu_fleet.endpoints", tmp_path / "served")
    controller.until(lambda: controller.ended, BOOT_SECONDS)  # the instance serves, and no row says so
    [rented] = cloud.rented()

    killed_at(controller, "1:gate close", tmp_path / "closing")
    assert_serves(controller, main, claim)
    assert [row["id"] for row in cloud.rented()] == [rented["id"]]
    assert controller.call("DELETE", f"/provision/{claim}").status_code == 200
    controller.until(lambda: controller.ended, END_SECONDS)  # while the slot leaves
    assert [row["id"] for row in cloud.rented()] == [rented["id"]]

    killed_at(controller, "1:pulumi destroy", tmp_path / "ending")
    controller.until(lambda: controller.ended, END_SECONDS)

    controller.start()
    controller.until(lambda: not cloud.rented(), END_SECONDS)
    controller.kill()  # the instance is gone, and its stack may be there

    controller.start()
    controller.until(controller.is_ready)
    controller.until(lambda: [name for name in stack_names(stack) if ".slot." in name] == [], END_SECONDS)
    assert controller.call("GET", f"/provision/{claim}").json()["status"] == "ended"
    assert cloud.rented() == []
    assert rents(cloud) <= begun + 2


@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_a_controller_that_is_dead_for_good_leaves_nothing_that_costs(
    cloud: Cloud, stack: Stack, main: Applied, controller: ControllerProcess
) -> None:
    config = stack.read_config()
    config["gpu-fleet:fleets"]["burst"]["lease"] = {"minutes": LEASE_SECONDS / 60}
    stack.write_config(config)
    stack.up()
    controller.until(controller.is_ready)
    claims = [claimed(controller, main, name) for name in ("one", "other")]
    for claim in claims:
        assert_serves(controller, main, claim)
    assert len(cloud.rented()) == 2
    served = time.monotonic()
    controller.until(lambda: time.monotonic() > served + LEASE_SECONDS + QUIET_SECONDS + 20, 300)
    assert len(cloud.rented()) == 2, "a controller that lives renews the leases"

    controller.kill()
    dead = time.monotonic()
    until(lambda: not cloud.rented(), seconds=LEASE_SECONDS + QUIET_SECONDS + 60)
    print(f"\ngone {time.monotonic() - dead:.0f} s after the controller; lease {LEASE_SECONDS:.0f} s")

    # The next controller finds what ended itself, and starts new ones for the claims that live.
    controller.start()
    controller.until(controller.is_ready)
    for claim in claims:
        assert controller.call("DELETE", f"/provision/{claim}").status_code == 200
    controller.until(lambda: not any(".slot." in name for name in stack_names(stack)), 2 * END_SECONDS)
    assert cloud.rented() == []
