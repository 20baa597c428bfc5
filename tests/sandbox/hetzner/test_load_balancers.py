"""Load balancers of the emulated Hetzner, as Hetzner's own client uses them."""

from typing import Any

import pytest
from hcloud import APIException, Client
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    LoadBalancerAlgorithm,
    LoadBalancerHealthCheck,
    LoadBalancerService,
    LoadBalancerTarget,
)
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet

from sandbox.hetzner.project import Project
from tests.doubles.hetzner import made

SUBNET = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
CHECK = LoadBalancerHealthCheck(protocol="tcp", port=30443, interval=15, timeout=10, retries=3)
SERVICE = LoadBalancerService(
    protocol="tcp", listen_port=443, destination_port=30443, proxyprotocol=False, health_check=CHECK
)


def balancer(client: Client, **more: Any) -> Any:
    answer = client.load_balancers.create("door", LoadBalancerType(name="lb11"), location=Location(name="fsn1"), **more)
    answer.action.wait_until_finished()
    return answer.load_balancer


def test_it_reaches_a_server_over_their_network(client: Client, project: Project) -> None:
    network = client.networks.create("stack", "10.0.0.0/16", subnets=[SUBNET])
    server, one = made(client, networks=[network]), balancer(client)
    one.attach_to_network(network=network, ip="10.0.1.250").wait_until_finished()
    one.add_service(SERVICE).wait_until_finished()
    one.add_target(LoadBalancerTarget(type="server", server=server, use_private_ip=True)).wait_until_finished()
    one.reload()

    assert one.private_net[0].ip == "10.0.1.250"
    assert (one.services[0].listen_port, one.services[0].destination_port) == (443, 30443)
    kept: Any = project.resources["load_balancer"][one.id]
    for since, seen in ((project.now + 1e6, "unknown"), (0.0, "healthy")):
        kept.services[0].since = kept.targets[0].since = since
        one.reload()
        assert [status.status for status in one.targets[0].health_status] == [seen]
    server.power_off().wait_until_finished()
    one.reload()
    assert [status.status for status in one.targets[0].health_status] == ["unhealthy"]
    network.reload()
    assert [found.id for found in network.servers or ()] == [server.id]

    for still_used in (lambda: one.detach_from_network(network), network.delete):
        with pytest.raises(APIException) as refused:
            still_used()
        assert refused.value.code == "resource_in_use"
    server.delete().wait_until_finished()
    one.reload()
    assert one.targets == []
    one.delete()
    network.delete()
    assert client.load_balancers.get_all() == []


def test_what_cannot_be_is_refused_as_the_api_does(client: Client) -> None:
    server, one = made(client), balancer(client, services=[SERVICE])
    network = client.networks.create("stack", "10.0.0.0/16", subnets=[SUBNET])
    target = LoadBalancerTarget(type="server", server=server, use_private_ip=True)

    def code(act: Any) -> str:
        with pytest.raises(APIException) as refused:
            act()
        return str(refused.value.code)

    assert code(lambda: one.add_service(SERVICE)) == "source_port_already_used"
    assert code(lambda: one.add_target(target)) == "load_balancer_not_attached_to_network"
    one.attach_to_network(network).wait_until_finished()
    assert code(lambda: one.attach_to_network(network)) == "load_balancer_already_attached"
    assert code(lambda: one.add_target(target)) == "server_not_attached_to_network"
    public = LoadBalancerTarget(type="server", server=server, use_private_ip=False)
    one.add_target(public).wait_until_finished()
    assert code(lambda: one.add_target(public)) == "target_already_defined"
    http = LoadBalancerService(protocol="http", listen_port=80, destination_port=80, proxyprotocol=False)
    assert code(lambda: one.add_service(http)) == "not_emulated"


def test_services_type_algorithm_and_protection_change(client: Client) -> None:
    one = balancer(client, services=[SERVICE])
    changed = LoadBalancerService(
        listen_port=443, destination_port=31000, health_check=LoadBalancerHealthCheck(interval=5)
    )
    one.update_service(changed).wait_until_finished()
    one.change_algorithm(LoadBalancerAlgorithm(type="least_connections")).wait_until_finished()
    one.change_type(LoadBalancerType(name="lb21")).wait_until_finished()
    one.reload()
    service = one.services[0]
    assert (service.destination_port, service.health_check.interval, service.health_check.port) == (31000, 5, 30443)
    assert (one.algorithm.type, one.load_balancer_type.name) == ("least_connections", "lb21")

    one.change_protection(delete=True).wait_until_finished()
    with pytest.raises(APIException) as refused:
        one.delete()
    assert refused.value.code == "protected"
    one.delete_service(SERVICE).wait_until_finished()
    one.reload()
    assert not one.services
    one.change_protection(delete=False).wait_until_finished()
    one.delete()
