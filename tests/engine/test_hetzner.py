"""Pulumi's own hcloud plugin works on the emulated Hetzner API as on theirs: it makes a node, mends it, and leaves nothing.

The plugin is there if `python3 -m tools.setup --parts hcloud-plugin` built it; `make test-deep` does.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.hetzner.project import Project
from sandbox.hetzner.server import application
from sandbox.market.records.clock import MarketClock
from sandbox.services.http_server import Server, listener
from tests.doubles.hcloud_plugin import NEEDS_PLUGIN, bring_plugin
from tests.doubles.pulumi_stack import Engine, Stack

TOKEN = "w" * 64
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvYm0Vw0b1k1c2m8Qb5m0v6WlYb0b9v0Z2c0w5l8b7R try"
PROGRAM = Path(__file__).parents[1] / "doubles" / "hetzner_node"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.deep,
    NEEDS_PLUGIN,
]


@pytest.fixture
def project() -> Project:
    return Project(MarketClock(300.0), {TOKEN: True})


@pytest.fixture
def stack(project: Project, engine: Engine) -> Iterator[Stack]:
    server = Server(application(project), listener())
    server.start()
    bring_plugin(engine)
    made = engine.stack(PROGRAM, project="node")
    plain = {"hcloud:endpoint": f"{server.url}/v1", "hcloud:pollInterval": "50ms", "node:publicKey": KEY}
    made.config(plain, {"hcloud:token": TOKEN})
    yield made
    made.close()
    server.stop()


def kinds(project: Project) -> dict[str, int]:
    return {kind: len(rows) for kind, rows in project.resources.items() if rows}


def test_a_node_comes_is_mended_and_goes(stack: Stack, project: Project) -> None:
    stack.up()
    assert kinds(project) == {
        **dict.fromkeys(("ssh_key", "network", "firewall", "placement_group", "server", "volume"), 1),
        **dict.fromkeys(("primary_ip", "load_balancer"), 1),
    }
    server: Any = next(iter(project.resources["server"].values()))
    network: Any = next(iter(project.resources["network"].values()))
    address: Any = next(iter(project.resources["primary_ip"].values()))
    balancer: Any = next(iter(project.resources["load_balancer"].values()))
    volume: Any = next(iter(project.resources["volume"].values()))
    assert server.status == "running"
    assert network.addresses[server.id] == "10.0.1.10"
    assert network.load_balancers == {balancer.id}
    assert (address.server, address.auto_delete, volume.server) == (server.id, False, server.id)
    assert [(one.listen_port, one.destination_port) for one in balancer.services] == [(443, 30443)]
    assert [(one.server, one.use_private_ip) for one in balancer.targets] == [(server.id, True)]
    assert server.user_data.startswith("#cloud-config")
    assert TOKEN not in stack.call("stack", "export", "--stack", stack.name).stdout

    unchanged = stack.preview("--expect-no-changes")
    assert "1 to" not in unchanged.text

    server.labels = {"stack": "by hand"}
    stack.refresh()
    stack.up()
    assert server.labels == {"stack": "one"}

    stack.config({"node:label": "two", "node:port": "31000"})
    stack.up()
    assert (server.labels, server.status) == ({"stack": "two"}, "running")
    assert [one.destination_port for one in balancer.services] == [31000]

    stack.destroy()
    assert kinds(project) == {}


def test_a_create_whose_reply_was_lost_names_what_is_there(stack: Stack, project: Project) -> None:
    project.faults.arm("hetzner-lost-create-reply", call="create_network")

    failed = stack.up(check=False)

    assert failed.status
    assert kinds(project)["network"] == 1
    again = stack.up(check=False)  # a name of the engine's own is another at each try, so the first one is left over
    assert again.status == 0
    assert kinds(project)["network"] == 2


def test_faults_that_the_plugin_waits_out(stack: Stack, project: Project) -> None:
    project.faults.arm("hetzner-rate-limited", 3, call="create_server")
    project.faults.arm("hetzner-conflict", 2, call="attach_to_network")
    project.faults.arm("hetzner-bad-gateway", 2)

    stack.up()

    assert kinds(project)["server"] == 1


def test_an_action_that_fails_is_told(stack: Stack, project: Project) -> None:
    project.faults.arm("hetzner-action-fails", call="create_load_balancer")
    failed = stack.up(check=False)
    assert failed.status
    assert "action_failed" in failed.text


def test_new_user_data_replaces_the_node(stack: Stack) -> None:
    stack.up()
    stack.config({"node:marker": "second"})
    assert "replace" in stack.preview("--diff").text


def test_a_type_that_is_sold_out_is_told_by_up_after_the_power_went_off(stack: Stack, project: Project) -> None:
    stack.up()
    project.catalog.sell_out("cx43", "fsn1")
    stack.config({"node:type": "cx43"})

    assert stack.preview().status == 0
    failed = stack.up(check=False)

    assert failed.status
    assert "resource_unavailable" in failed.text
    server: Any = next(iter(project.resources["server"].values()))
    assert server.status == "off"
