"""The controller as a process, over the real engine, emulated hosts and PostgreSQL: a claim from nothing to nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from controller.pulumi_cli import Place
from controller.slot_stack import read_parent
from providers.elastic.applied import Applied
from sandbox.services.postgres import Postgres
from tests.doubles.cloud import Cloud
from tests.doubles.controller_process import ControllerProcess
from tests.doubles.database import fresh_database
from tests.doubles.fleet_stack import stack_of_its_own
from tests.doubles.pulumi_stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host]

BOOT_SECONDS, END_SECONDS = 180.0, 120.0


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
    found = read_parent("dev", Place(stack.folder, tmp_path / "work"), stack.env)
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


def test_a_claim_is_served_survives_the_controllers_end_and_leaves_nothing_behind(
    cloud: Cloud, stack: Stack, main: Applied, controller: ControllerProcess
) -> None:
    controller.until(controller.is_ready)
    asked = controller.call(
        "POST", "/provision", model=main.fleets["burst"].model, gpu_type=main.fleets["burst"].gpus[0]
    )
    assert asked.status_code == 202, asked.text
    claim = asked.json()["id"]

    controller.until(lambda: controller.call("GET", f"/provision/{claim}").json()["status"] == "ready", BOOT_SECONDS)
    [instance] = controller.call("GET", f"/provision/{claim}").json()["instances"]
    assert probe(instance["endpoint"], main.ca_certificate, instance["token"], "tiny", SystemClock(), 30).text
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
