"""A load balancer of Hetzner in front of the stack's own cluster: made, passing hosts on to the receiver's port, and gone.

The real engine with Pulumi's logic for Hetzner; the emulated server runs cloud-init. Behind the port stands a listener with
the receiver's own certificate, because no pod runs there.
"""

import base64
import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from offline.kubernetes_plugin.cluster import Cluster
from providers.cluster.server_keys import server_keys
from providers.kubeconfig import reach
from tests.doubles.cluster_world import World, world_or_skip, write_config
from tests.doubles.hcloud_plugin import NEEDS_PLUGIN, cluster_stack
from tests.doubles.hetzner_login import Login, Pair, login
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.timeout(900),
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
    NEEDS_PLUGIN,
]

PLAINTEXT = "plaintext"  # of a secret in an export that shows them
LISTENER = """
import http.server, ssl
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"behind the balancer")
server = http.server.ThreadingHTTPServer(("", 30443), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/tls.crt", "/root/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_or_skip(tmp_path_factory.mktemp("hetzner")) as made:
        yield made


@pytest.fixture
def stack(world: World, engine: Engine) -> Stack:
    made = cluster_stack(engine)
    write_config(made, world, loadBalancer=True)
    return made


def test_hosts_reach_the_receivers_port_through_it_and_an_edit_takes_it_away(stack: Stack, world: World) -> None:
    stack.up()
    outputs, identity = stack.outputs(), identity_of(stack)
    [balancer] = balancers(world)
    address = outputs["cluster"]["address"]
    assert outputs["receiver"] == f"https://{balancer.public_net.ipv4.ip}"
    assert world.kinds()["load_balancer"] == 1
    assert "unchanged" in stack.preview("--expect-no-changes").text

    assert not opens(address, 30443), "the server opens no port to the world"
    with entered(address, identity) as there:
        listen(there, Cluster(*reach(outputs["kubeconfig"])))
        assert through(outputs["receiver"], identity["caCertificate"]) == "behind the balancer"
        until(lambda: health(world) == ["healthy"], "what it thinks of its target")

        # A port that moves takes the balancer's target along.
        write_config(stack, world, loadBalancer=True, receiverPort=31443)
        stack.up()
        [service] = balancers(world)[0].services
        assert (service.listen_port, service.destination_port) == (443, 31443)

    write_config(stack, world)
    stack.up()
    assert "load_balancer" not in world.kinds()
    assert stack.outputs()["receiver"] == f"https://{address}:30443"
    assert "unchanged" in stack.preview("--expect-no-changes").text

    stack.destroy()
    assert world.kinds() == {}


def identity_of(stack: Stack) -> dict[str, str]:
    """Return the outputs of the stack's identity, its secrets in plain."""
    shown = json.loads(stack.call("stack", "export", "--stack", stack.name, "--show-secrets").stdout)["deployment"]
    [found] = [row["outputs"] for row in shown["resources"] if row["type"].endswith("identity:Identity")]
    return {
        key: json.loads(one[PLAINTEXT]) if isinstance(one, dict) and PLAINTEXT in one else one
        for key, one in found.items()
    }


@contextlib.contextmanager
def entered(address: str, identity: dict[str, str]) -> Iterator[Login]:
    """Log in to the server as the program does."""
    host = server_keys(identity["tokenSecret"]).host
    own = Pair(identity["sshPrivateKey"], identity["sshPublicKey"])
    with login(address, own, Pair(host.private, host.public)) as there:
        yield there


def listen(there: Login, cluster: Cluster) -> None:
    """Have the server listen at the receiver's port with the certificate that its pod would have."""
    place = {"name": "door-certificate", "namespace": "gpu-fleet"}
    secret = cluster.get({"apiVersion": "v1", "kind": "Secret", "metadata": place})
    assert secret
    for name, value in secret["data"].items():
        there.run(f"cat > /root/{name}", given=base64.b64decode(value).decode())
    there.run("cat > /root/listener.py", given=LISTENER)
    there.run("setsid python3 /root/listener.py > /root/listener.log 2>&1 < /dev/null &")


def through(url: str, ca: str) -> str:
    """Return what answers at a URL to a host that trusts the stack's CA alone."""
    trusted = ssl.create_default_context(cadata=ca)

    def asked() -> str:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url, verify=trusted, trust_env=False, timeout=10).text
        return ""

    return until(asked, "an answer through the load balancer", 60)


def health(world: World) -> list[str]:
    """Return what the load balancer says of the server."""
    return [row.status for target in balancers(world)[0].targets for row in target.health_status]


def balancers(world: World) -> list[Any]:
    """Return the load balancers as Hetzner's own client reads them."""
    return list(world.client.load_balancers.get_all())


def opens(address: str, port: int) -> bool:
    """Say whether a port answers."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True
