"""Each fault of the emulated Hetzner API, as its clients meet it."""

from typing import Any

import httpx
import pytest
import requests
from hcloud import APIException, Client
from hcloud.actions import ActionFailedException
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.locations import Location
from hcloud.server_types import ServerType

from sandbox.hetzner.project import Project
from tests.doubles.hetzner import KEY, OWN, made


def code(act: Any) -> object:
    with pytest.raises(APIException) as refused:
        act()
    return refused.value.code


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hetzner-unavailable", "service_error"),
        ("hetzner-locked", "locked"),
        ("hetzner-quota", "resource_limit_exceeded"),
    ],
)
def test_a_create_is_refused_once_and_makes_nothing(client: Client, project: Project, name: str, says: str) -> None:
    project.faults.arm(name, call="create_server")
    client.ssh_keys.create("stack", KEY)
    assert code(lambda: made(client)) == says
    assert client.servers.get_all() == []
    assert made(client).status == "running"


@pytest.mark.parametrize(
    ("name", "status"), [("hetzner-rate-limited", 429), ("hetzner-conflict", 409), ("hetzner-bad-gateway", 502)]
)
def test_what_clients_try_again_by_themselves(project: Project, url: str, name: str, status: int) -> None:
    project.faults.arm(name)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {OWN}"}) as http:
        statuses = [http.post("/ssh_keys", json={"name": "stack", "public_key": KEY}).status_code for _ in range(2)]
    assert statuses == [status, 201]


def test_reads_meet_a_lock_never(client: Client, project: Project) -> None:
    project.faults.arm("hetzner-locked")
    assert client.servers.get_all() == []
    assert code(lambda: client.ssh_keys.create("stack", KEY)) == "locked"


def test_a_lock_of_one_server(client: Client, project: Project) -> None:
    server = made(client)
    project.faults.arm("hetzner-locked", instance="node-0")
    client.ssh_keys.create("stack", KEY)
    assert code(server.power_off) == "locked"


def test_the_token_may_only_read_until_that_is_mended(client: Client, project: Project) -> None:
    project.faults.arm("hetzner-token-readonly")
    for _ in range(2):
        assert code(lambda: client.ssh_keys.create("stack", KEY)) == "token_readonly"
    assert client.ssh_keys.get_all() == []
    project.faults.disarm("hetzner-token-readonly")
    client.ssh_keys.create("stack", KEY)


def test_servers_are_sold_out_until_that_is_mended(client: Client, project: Project) -> None:
    server = made(client)
    server.power_off().wait_until_finished()
    project.faults.arm("hetzner-sold-out")
    kind = client.server_types.get_by_name("cx43")
    assert kind is not None
    assert kind.locations is not None
    assert not any(place.available for place in kind.locations)
    assert code(lambda: server.change_type(ServerType(name="cx43"), upgrade_disk=False)) == "resource_unavailable"
    assert code(lambda: client.servers.create("other", ServerType(name="cx33"), server.image)) == "resource_unavailable"
    kind_of, place = LoadBalancerType(name="lb11"), Location(name="fsn1")
    balancer = client.load_balancers.create("door", kind_of, location=place).load_balancer
    balancer.change_type(LoadBalancerType(name="lb21")).wait_until_finished()
    project.faults.disarm("hetzner-sold-out")
    server.change_type(ServerType(name="cx43"), upgrade_disk=False).wait_until_finished()


def test_an_action_fails_without_effect(client: Client, project: Project) -> None:
    server = made(client)
    project.faults.arm("hetzner-action-fails", call="stop_server")
    server.change_protection(delete=False).wait_until_finished()
    with pytest.raises(ActionFailedException):
        server.power_off().wait_until_finished()
    server.reload()
    assert server.status == "running"


def test_a_load_balancer_is_slow(client: Client, project: Project) -> None:
    project.faults.arm("hetzner-load-balancer-slow")
    kind, place = LoadBalancerType(name="lb11"), Location(name="fsn1")
    slow, quick = (client.load_balancers.create(name, kind, location=place).action for name in ("one", "two"))
    lengths = [project.actions[action.id].ends - project.actions[action.id].begins for action in (slow, quick)]
    assert lengths == [600.0, 6.0]


def test_the_reply_of_a_create_is_lost_and_the_resource_is_there(client: Client, project: Project) -> None:
    project.faults.arm("hetzner-lost-create-reply", call="create_server")
    client.ssh_keys.create("stack", KEY)
    with pytest.raises(requests.ConnectionError):
        made(client)
    assert [one.name for one in client.servers.get_all()] == ["node-0"]


def test_the_reply_of_any_call_is_lost(client: Client, project: Project) -> None:
    key = client.ssh_keys.create("stack", KEY)
    project.faults.arm("hetzner-lost-reply", call="delete_ssh_key")
    with pytest.raises(requests.ConnectionError):
        key.delete()
    assert client.ssh_keys.get_all() == []
