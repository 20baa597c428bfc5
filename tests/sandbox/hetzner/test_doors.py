"""What firewalls let through to emulated servers, and how a port swallows connections."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.hetzner.bodies import Rule
from sandbox.hetzner.doors import Doors
from sandbox.hetzner.firewalls import Firewall
from sandbox.hetzner.namespace_machines import ALWAYS, is_open, ports
from sandbox.hosts.forwarder import Forwarder, dial_machine, listen

HERE, ELSEWHERE = "127.0.0.0/8", "198.51.100.0/24"
RULES = st.builds(
    Rule,
    direction=st.sampled_from(["in", "out"]),
    protocol=st.sampled_from(["tcp", "udp", "icmp"]),
    port=st.none() | st.sampled_from(["any", "22", "80-85", "30443", "1-65535"]),
    source_ips=st.lists(st.sampled_from([HERE, ELSEWHERE, "0.0.0.0/0", "::/0"]), max_size=2),
)


def wall(rules: list[Rule]) -> Firewall:
    return Firewall(1, "wall", {}, 0.0, False, rules)


@given(st.lists(st.lists(RULES, max_size=3), max_size=2), st.sampled_from([22, 83, 6443, 30443]))
def test_a_port_is_open_if_a_rule_says_so_or_if_there_is_no_firewall(all_rules: list[list[Rule]], port: int) -> None:
    walls = [wall(rules) for rules in all_rules]
    fitting = [
        rule
        for rules in all_rules
        for rule in rules
        if (rule.direction, rule.protocol) == ("in", "tcp") and {HERE, "0.0.0.0/0"} & set(rule.source_ips)
    ]
    spans = {None: True, "any": True, "1-65535": True, "22": port == 22, "80-85": port == 83, "30443": port == 30443}
    assert is_open(walls, port) == (not walls or any(spans[rule.port] for rule in fitting))
    assert ports(walls) >= ALWAYS
    assert len(ports(walls)) < 20


@pytest.mark.allow_hosts(["127.0.0.0/8"])
def test_a_port_carries_swallows_and_refuses() -> None:
    behind, forwarding = listen(), Forwarder()
    doors, place = Doors(forwarding), ("127.96.7.7", free_port())
    doors.open(place, dial_machine("127.0.0.1", behind.getsockname()[1]))
    with socket.create_connection(place, timeout=5):
        behind.accept()[0].close()
    doors.silence(place)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            socket.create_connection(place, timeout=0.2).close()
    doors.close_all()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place, timeout=5).close()
    forwarding.stop()
    behind.close()


def free_port() -> int:
    with listen(0, "127.96.7.7") as free:
        return int(free.getsockname()[1])
