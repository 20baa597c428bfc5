"""From an empty Hetzner account to samples in Prometheus, with pods that run: the walk of docs/cluster.md with `wait: true`.

The real engine and Pulumi's logic for Hetzner; emulated servers with the real kubelet. Grafana has no image here: its pod is
left out of what `up` waits for, and shows in the end that `up` tells why a pod does not run.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.hetzner.machines import MachinesError
from sandbox.node import cgroups
from sandbox.services.child import ServiceError
from tests.doubles.cluster_world import World
from tests.doubles.hcloud_plugin import NEEDS_PLUGIN
from tests.doubles.node_traces import left, look
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.server_traces import GROUPS, processes
from tests.doubles.until import until
from tests.doubles.watched_cluster import GRAFANA, PODS, Watching, watched_stack, watched_world, write

pytestmark = [
    pytest.mark.engine,
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.xdist_group("node"),
    pytest.mark.timeout(1200),
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
    NEEDS_PLUGIN,
]
NEWER = "v1.34.3+k3s1"
OWN = ("--target", "**::cluster-*")


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hetzner")
    before = look(folder)
    with contextlib.ExitStack() as undo:
        try:
            made = undo.enter_context(watched_world(folder))
        except (MachinesError, ServiceError) as error:
            pytest.skip(str(error))
        yield made
    assert left(before, look(folder)) == []
    assert (processes(folder), cgroups.named(GROUPS)) == ([], [])


@pytest.fixture
def stack(world: World, engine: Engine) -> Stack:
    return watched_stack(engine, world)


def test_monitoring_runs_as_pods_from_an_empty_account_through_upgrade_and_loss_to_nothing(
    stack: Stack, world: World, tmp_path: Path, record_property: Any
) -> None:
    before, began = look(world.home), time.monotonic()
    stack.up()
    record_property("seconds from an empty account until all pods are ready", round(time.monotonic() - began, 1))
    watching = Watching(stack, tmp_path)

    assert watching.ready() == PODS, "up has waited for them"
    [grafana] = watching.pods()["grafana"]["status"]["containerStatuses"]
    assert grafana["state"]["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
    claims = dict.fromkeys(("prometheus-data", "alertmanager-data"), ("Bound", "local-path"))
    assert watching.claims() == claims
    assert len(list(world.home.glob("servers/*/attached/*/storage/pvc-*"))) == len(claims), "on Hetzner's volume"
    watching.tell(5)
    last = "last_over_time(vast_instance_idle_seconds{instance_id='7'}[1h])"
    until(lambda: watching.values(last) == [5], "the sample in Prometheus")
    up = "count(up{job!='grafana'} == 1)"
    until(lambda: watching.values(up) == [len(PODS)], "every part, read by Prometheus")
    assert look(world.home).settings == before.settings
    assert "unchanged" in stack.preview("--expect-no-changes").text

    ran = watching.started()
    write(stack, world, NEWER)
    assert f"{NEWER} serves at" in stack.up().text
    until(lambda: watching.ready() == PODS, "the pods after the upgrade")
    assert watching.started() == ran, "pods go on while k3s is changed"

    [server] = world.client.servers.get_all()
    server.delete().wait_until_finished()
    stack.refresh(*OWN)
    assert "restore  snapshot before-" in stack.up(*OWN).text
    stack.up()
    until(lambda: watching.ready() == PODS, "the pods of the lost server")
    until(lambda: watching.values(last) == [5], "the sample of before, which is on the volume")
    assert min(watching.started().values()) > max(ran.values())
    assert "unchanged" in stack.preview("--expect-no-changes").text

    told = stack.up(check=False, env={GRAFANA: "5"})
    assert told.status
    assert "Deployment gpu-fleet/grafana was written and does not run (it took longer than 5 s)" in told.text
    assert "container grafana waits: " in told.text
    assert "ImagePull" in told.text

    stack.destroy()
    assert world.kinds() == {}
    assert (processes(world.home), cgroups.named(GROUPS)) == ([], [])
