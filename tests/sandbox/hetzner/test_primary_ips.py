"""Primary IPs of the emulated Hetzner: an address outlives its server, so a restored server keeps it."""

import pytest
from hcloud import APIException, Client
from hcloud.locations import Location
from hcloud.primary_ips import BoundPrimaryIP
from hcloud.servers import ServerCreatePublicNetwork

from tests.doubles.hetzner import made


def address(client: Client, name: str = "door", place: str = "fsn1") -> BoundPrimaryIP:
    made_one = client.primary_ips.create("ipv4", name, location=Location(name=place), auto_delete=False).primary_ip
    assert made_one is not None
    return made_one


def test_the_address_of_a_server_that_ended_goes_to_the_next_one(client: Client) -> None:
    kept = address(client)
    wanted = ServerCreatePublicNetwork(ipv4=kept, enable_ipv6=False)
    first = made(client, public_net=wanted)
    assert first.public_net.ipv4.ip == kept.ip
    kept.reload()
    assert (kept.assignee_id, kept.assignee_type) == (first.id, "server")
    with pytest.raises(APIException) as refused:
        kept.delete()
    assert refused.value.code == "resource_in_use"

    first.delete().wait_until_finished()
    kept.reload()
    assert kept.assignee_id is None
    second = made(client, public_net=wanted)
    assert second.public_net.ipv4.ip == kept.ip
    second.delete().wait_until_finished()
    kept.delete()
    assert client.primary_ips.get_all() == []


def test_a_server_without_one_gets_one_that_ends_with_it(client: Client) -> None:
    server = made(client)
    assert [one.ip for one in client.primary_ips.get_all()] == [server.public_net.ipv4.ip]
    server.delete().wait_until_finished()
    assert client.primary_ips.get_all() == []


def test_it_is_assigned_only_to_a_server_that_is_off(client: Client) -> None:
    server = made(client, public_net=ServerCreatePublicNetwork(enable_ipv4=False, enable_ipv6=False))
    one = address(client)
    with pytest.raises(APIException) as refused:
        one.assign(server.id, "server")
    assert refused.value.code == "server_not_stopped"
    server.power_off().wait_until_finished()
    one.assign(server.id, "server").wait_until_finished()
    with pytest.raises(APIException) as refused:
        address(client, "other").assign(server.id, "server")
    assert refused.value.code == "server_has_ipv4"
    one.unassign().wait_until_finished()
    one.update(auto_delete=True, name="other name")
    one.reload()
    assert (one.auto_delete, one.name, one.assignee_id) == (True, "other name", None)


def test_it_stays_in_its_location(client: Client) -> None:
    elsewhere = ServerCreatePublicNetwork(ipv4=address(client, place="hel1"))
    with pytest.raises(APIException) as refused:
        made(client, public_net=elsewhere)
    assert refused.value.code == "primary_ip_datacenter_mismatch"
    assert client.servers.get_all() == []
