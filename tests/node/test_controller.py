"""The controller as a pod: the real program declares it, and it rents, serves and gives back as it does elsewhere.

Its network policies hold, with market, bucket and rented hosts at addresses that are public to it. Set-up brings what it
needs: python3 -m tools.setup --parts node,controller-image
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from components.controller_manifests import POSTGRES_PORT
from monitoring.kubernetes.settings import CONTROLLER_PORT
from sandbox.node.plan import API_PORT, API_SERVICE
from tests.doubles.controlled_node import (
    API_PORT_OF_NODE,
    FLEET,
    PATIENCE_SECONDS,
    PODS,
    SLOT_SECONDS,
    SPACE,
    Controlled,
    opens,
    running_controller,
)
from tests.doubles.engine import pulumi_on_path
from tests.doubles.pods import takes
from tests.doubles.until import until

__all__ = ["pulumi_on_path"]

pytestmark = [
    pytest.mark.host,
    pytest.mark.engine,
    pytest.mark.deep,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("node"),
    # Of the node's network, and of the world that its pods reach.
    pytest.mark.allow_hosts(["127.0.0.0/8", "10.222.0.0/16", "10.244.0.0/16", "10.96.0.0/16", "198.18.0.0/15"]),
]


@pytest.fixture(scope="module")
def controlled(pulumi_on_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controlled]:
    with running_controller(tmp_path_factory.mktemp("controlled"), pulumi_on_path) as running:
        yield running


def test_the_pods_come_up_as_the_program_declares_them(controlled: Controlled) -> None:
    print(f"\nfrom up to ready pods: {controlled.seconds:.0f} s")
    assert controlled.is_ready()
    for name in PODS:
        process, pod = controlled.pods.process(name), controlled.pods.of(name)["spec"]
        facts = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE))
        assert facts["Uid"].split() == [str(pod["securityContext"]["runAsUser"])] * 4
        assert {facts[key] for key in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
        assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
        assert controlled.restarts(name) == 0  # the controller waits for its database


def test_a_claim_is_served_in_the_sandbox_and_leaves_nothing_rented(controlled: Controlled) -> None:
    began, claim = time.monotonic(), controlled.claimed()

    assert controlled.followed(claim) == "ready", controlled.said()
    print(f"\nfrom claim to ready: {time.monotonic() - began:.0f} s")
    [instance] = controlled.call("GET", f"/provision/{claim}").json()["instances"]
    ca = controlled.outputs["caCertificate"]
    assert probe(instance["endpoint"], ca, instance["token"], "tiny", SystemClock(), 60).text
    assert len(controlled.cloud.rented()) == 1

    # The pod is killed: the next one finds its rows, and serves the claim by the same instance.
    before = controlled.pods.of("controller")["metadata"]
    place = {"name": before["name"], "namespace": SPACE}
    controlled.cluster.delete({"apiVersion": "v1", "kind": "Pod", "metadata": place})
    until(lambda: another(controlled, before["uid"]), "the next controller", PATIENCE_SECONDS)
    until(controlled.is_ready, "its API", PATIENCE_SECONDS)
    assert controlled.call("GET", f"/provision/{claim}").json()["status"] == "ready"
    assert len(controlled.cloud.rented()) == 1

    assert controlled.call("DELETE", f"/provision/{claim}").status_code == 200
    until(lambda: not controlled.cloud.rented(), "an empty account", SLOT_SECONDS)
    until(lambda: controlled.stacks() == [], "no slot's stack", SLOT_SECONDS)
    said = controlled.said()
    assert controlled.key not in said
    assert instance["token"] not in said


def another(controlled: Controlled, uid: str) -> bool:
    """Say whether the controller has another pod than before, and it is ready."""
    try:
        return controlled.pods.of("controller")["metadata"]["uid"] != uid and controlled.pods.ready("controller")
    except ValueError:  # between the two
        return False


def test_who_reaches_whom_is_as_the_page_says(controlled: Controlled) -> None:
    pods, plan = controlled.pods, controlled.node.plan
    database = pods.of("postgres")["status"]["podIP"]
    market, rented = plan.name_address(0), plan.rented

    assert pods.reaches("controller", pods.service("postgres"), POSTGRES_PORT)
    assert pods.reaches("controller", market, 443)
    with socket.create_server((rented, 0)) as host:
        assert pods.reaches("controller", rented, host.getsockname()[1])  # a host's port, as the market maps it
        assert not pods.reaches("postgres", rented, host.getsockname()[1])
    assert not pods.reaches("controller", API_SERVICE, 443)
    assert not pods.reaches("controller", plan.address, API_PORT)
    assert not pods.reaches("postgres", market, 443)
    assert not pods.reaches("postgres", pods.service("controller"), CONTROLLER_PORT)
    assert not takes(os.getpid(), database, POSTGRES_PORT)


def test_clients_from_outside_come_over_tls_from_the_networks_of_config(controlled: Controlled) -> None:
    plan, inside = controlled.node.plan, controlled.pods.of("controller")["status"]["podIP"]

    assert controlled.outputs["controller"]["api"] == f"https://{plan.address}:{API_PORT_OF_NODE}"
    with controlled.outside() as client:
        assert [fleet["name"] for fleet in client.get("/fleets").json()] == [FLEET]
        assert client.get("/metrics").status_code == 404
    assert controlled.call("GET", "/metrics").status_code == 200
    assert not takes(os.getpid(), inside, CONTROLLER_PORT)  # in plain it is for pods of the cluster alone
    assert opens(plan.gateway, plan.address)
    assert not opens(plan.rented, plan.address)  # an address of this machine that config does not name


def test_destroy_leaves_nothing(controlled: Controlled) -> None:
    controlled.stack.destroy()

    assert controlled.cloud.rented() == []
    for kind in ("pods", "services", "persistentvolumeclaims"):
        until(lambda kind=kind: held(controlled, kind) == [], kind, PATIENCE_SECONDS)  # type: ignore[misc]


def held(controlled: Controlled, kind: str) -> list[str]:
    found = controlled.node.api.get(f"{controlled.pods.path}/{kind}") or {"items": []}
    return [row["metadata"]["name"] for row in found["items"]]
