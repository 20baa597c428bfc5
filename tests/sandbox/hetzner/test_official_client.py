"""Hetzner's own Python client finds in the emulated API what it finds in theirs."""

from typing import Any

import pytest
from hcloud import APIException, Client
from hcloud.actions import ActionFailedException
from hcloud.firewalls import FirewallResource, FirewallRule
from hcloud.images import Image
from hcloud.networks import NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

from sandbox.hetzner.project import Project
from tests.doubles.hetzner import KEY, OWN, READER, made


def test_a_cluster_of_one_node_comes_and_goes(client: Client) -> None:
    key = client.ssh_keys.create("stack", KEY)
    subnet = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
    network = client.networks.create("stack", "10.0.0.0/16", subnets=[subnet])
    rule = FirewallRule(direction="in", protocol="tcp", port="22", source_ips=["198.51.100.0/24"])
    wall = client.firewalls.create("stack", rules=[rule]).firewall
    server = made(client, ssh_keys=[key], networks=[network], firewalls=[wall], user_data="#cloud-config\n")

    assert server.status == "running"
    assert server.public_net.ipv4.ip.startswith("203.0.113.")
    assert [net.ip for net in server.private_net] == ["10.0.1.2"]
    assert [one.firewall.id for one in server.public_net.firewalls] == [wall.id]
    assert wall.rules is not None
    assert wall.rules[0].port == "22"

    answer = client.volumes.create(20, "data", server=server, format="ext4")
    for action in (answer.action, *answer.next_actions):
        action.wait_until_finished()
    volume: Any = answer.volume
    volume.reload()
    assert volume.server.id == server.id

    for still_used in (network.delete, wall.delete, volume.delete):
        with pytest.raises(APIException) as refused:
            still_used()
        assert refused.value.code == "resource_in_use"

    server.delete().wait_until_finished()
    volume.reload()
    assert volume.server is None
    for one in (volume, network, wall, key):
        one.delete()
    lists = (client.servers, client.volumes, client.networks, client.firewalls, client.ssh_keys)
    assert [kind.get_all() for kind in lists] == [[], [], [], [], []]


def test_a_server_changes_its_type_only_while_it_is_off_and_stays_off(client: Client) -> None:
    server = made(client)
    with pytest.raises(APIException) as refused:
        server.change_type(ServerType(name="cx43"), upgrade_disk=False)
    assert refused.value.code == "server_not_stopped"

    server.power_off().wait_until_finished()
    server.change_type(ServerType(name="cx43"), upgrade_disk=False).wait_until_finished()
    server.reload()
    assert (server.server_type.name, server.status) == ("cx43", "off")


def test_a_server_that_is_busy_is_locked(client: Client, project: Project) -> None:
    answer = client.servers.create(name="slow", server_type=ServerType(name="cx23"), image=Image(name="debian-12"))
    project.actions[answer.action.id].ends += 1e6
    with pytest.raises(APIException) as refused:
        answer.server.delete()
    assert refused.value.code == "locked"
    assert answer.server.locked


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("resource_unavailable", {}),
        ("not_found", {"server_type": ServerType(name="cx99")}),
        ("not_found", {"image": Image(name="debian-99")}),
        ("invalid_input", {"user_data": "x" * 40_000}),
    ],
)
def test_a_server_is_refused_as_the_api_does(
    client: Client, project: Project, code: str, arguments: dict[str, Any]
) -> None:
    project.catalog.sell_out("cx33", "fsn1")

    with pytest.raises(APIException) as refused:
        made(client, **arguments)
    assert refused.value.code == code
    assert client.servers.get_all() == []


def test_stock_shows_in_the_list_of_types(client: Client, project: Project) -> None:
    project.catalog.sell_out("cx33", "fsn1")
    found = client.server_types.get_by_name("cx33")
    assert found is not None
    assert found.locations is not None
    assert {one.location.name: one.available for one in found.locations} == {"fsn1": False, "nbg1": True, "hel1": True}


def test_a_token_that_may_only_read(url: str) -> None:
    reader = Client(READER, api_endpoint=url)
    assert reader.servers.get_all() == []
    with pytest.raises(APIException) as refused:
        reader.ssh_keys.create("stack", KEY)
    assert refused.value.code == "token_readonly"


@pytest.mark.parametrize("token", ["w" * 63, "x" * 64, ""])
def test_a_token_that_is_none(url: str, token: str) -> None:
    with pytest.raises(APIException) as refused:
        Client(token, api_endpoint=url).servers.get_all()
    assert refused.value.code == "unauthorized"


def test_a_name_and_a_key_are_taken_once(client: Client) -> None:
    client.ssh_keys.create("stack", KEY)
    for name, key in (("other", KEY), ("stack", KEY)):
        with pytest.raises(APIException) as refused:
            client.ssh_keys.create(name, key)
        assert refused.value.code == "uniqueness_error"


def test_lists_come_in_pages_and_by_label(client: Client) -> None:
    for number in range(60):
        client.placement_groups.create(f"group-{number}", "spread", labels={"half": str(number % 2)})
    assert len(client.placement_groups.get_all()) == 60
    assert len(client.placement_groups.get_all(label_selector="half=1")) == 30
    assert len(client.placement_groups.get_all(label_selector="half notin (0,1)")) == 0
    page: Any = client.placement_groups.get_list(page=2, per_page=50)
    assert (len(page.placement_groups), page.meta.pagination.total_entries) == (10, 60)


def test_an_action_that_fails_says_so(client: Client, project: Project) -> None:
    server = made(client)
    project.failing.append("stop_server")
    with pytest.raises(ActionFailedException) as failed:
        server.power_off().wait_until_finished()
    error: Any = failed.value.action.error
    assert error == {"code": "action_failed", "message": "Action failed"}
    server.reload()
    assert server.status == "running"


def test_networks_that_overlap_are_refused(client: Client) -> None:
    network = client.networks.create("stack", "10.0.0.0/16")
    network.add_subnet(NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central"))
    with pytest.raises(APIException) as refused:
        network.add_subnet(NetworkSubnet(ip_range="10.0.1.128/25", type="cloud", network_zone="eu-central"))
    assert refused.value.code == "networks_overlap"


def test_a_server_without_public_addresses(client: Client) -> None:
    server = made(client, public_net=ServerCreatePublicNetwork(enable_ipv4=False, enable_ipv6=False))
    assert server.public_net.ipv4 is None
    assert server.public_net.ipv6 is None


def test_a_firewall_is_applied_once_and_removed(client: Client) -> None:
    server, wall = made(client), client.firewalls.create("stack").firewall
    target = FirewallResource(type="server", server=server)
    for action in wall.apply_to_resources([target]):
        action.wait_until_finished()
    with pytest.raises(APIException) as refused:
        wall.apply_to_resources([target])
    assert refused.value.code == "firewall_already_applied"
    for action in wall.remove_from_resources([target]):
        action.wait_until_finished()
    wall.delete()


def test_what_is_protected_stays(client: Client) -> None:
    server = made(client)
    server.change_protection(delete=True).wait_until_finished()
    with pytest.raises(APIException) as refused:
        server.delete()
    assert refused.value.code == "protected"


def test_prices_are_told_by_location(url: str) -> None:
    import httpx  # noqa: PLC0415 -- the official client has no call for prices

    answer = httpx.get(f"{url}/pricing", headers={"Authorization": f"Bearer {READER}"}).json()["pricing"]
    found = next(one for one in answer["server_types"] if one["name"] == "cx33")
    assert {row["location"]: float(row["price_monthly"]["net"]) for row in found["prices"]}["fsn1"] == 6.49
    assert answer["currency"] == "EUR"


def test_the_request_limit_is_told_and_kept(project: Project) -> None:
    from sandbox.hetzner.rates import Rates  # noqa: PLC0415

    rates = Rates(limit=2)
    left = [rates.take(OWN, 100.0) for _ in range(3)]
    assert [allowed for allowed, _ in left] == [True, True, False]
    assert left[2][1]["RateLimit-Remaining"] == "0"
    assert rates.take(OWN, 101.0)[0]
