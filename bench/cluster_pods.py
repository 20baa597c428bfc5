"""Measure a cluster on the emulated Hetzner whose monitoring runs as pods: from an empty account to pods that are ready.

up       the whole update, with Hetzner's actions at their real length; the pace of the market does not matter
node     from k3s' start, which its configuration precedes, to the node's condition Ready
pods     from the node's condition Ready until the last pod of monitoring but Grafana's is ready
traces   what is left on this machine after the destroy
"""

import os
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bench.cluster import CONFIGURED, PATIENCE_S, written
from bench.up import timed_up
from sandbox.node import cgroups
from sandbox.services.child import ServiceError
from tests.doubles.cluster_world import World
from tests.doubles.hcloud_plugin import PLUGIN
from tests.doubles.node_traces import left, look
from tests.doubles.pulumi_stack import Engine, environment, path_with_engine
from tests.doubles.server_traces import GROUPS, processes
from tests.doubles.watched_cluster import PODS, Watching, watched_stack, watched_world

ROUNDS, TIME_SCALE = 3, 1.0


def main() -> None:
    """Measure and print."""
    path = path_with_engine(os.environ)
    if path is None or not PLUGIN.is_file():
        raise SystemExit("Bring what is missing: python3 -m tools.setup --parts engine,hcloud-plugin,hetzner,node")
    rows, traces = [], 0
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name:
            folder, before = Path(name), look(Path(name))
            engine = Engine(folder, environment(folder, path))
            try:
                with watched_world(folder / "world", TIME_SCALE) as world:
                    rows.append(one(engine, world, folder))
            except ServiceError as error:
                raise SystemExit(str(error)) from None
            finally:
                engine.close()
            traces += len(left(before, look(folder))) + len(processes(folder)) + len(cgroups.named(GROUPS))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    up, node, pods = (statistics.median(each) for each in zip(*rows, strict=True))
    print(f"up of a cluster until its pods are ready, median of {ROUNDS}: {up:.1f} s", flush=True)
    figure(f"server of Hetzner, from k3s' start to node Ready, median of {ROUNDS}", node, "s", 10)
    figure(f"server of Hetzner, from node Ready to monitoring's pods ready, median of {ROUNDS}", pods, "s", 60)
    figure("server of Hetzner, traces left after the destroy", traces, "", 0)


def one(engine: Engine, world: World, folder: Path) -> tuple[float, float, float]:
    """Bring the cluster up and give it back; return the seconds of the update, until the node and until its pods."""
    stack = watched_stack(engine, world)
    stack.deadline = PATIENCE_S
    took = timed_up(stack)
    [server] = world.client.servers.get_all()
    assert server.id is not None
    began = written(world.machines.machine(server.id).root / CONFIGURED)
    watching = Watching(stack, folder)
    assert watching.ready() == PODS
    node = since(watching.node())
    pods = max(since(pod) for name, pod in watching.pods().items() if name in PODS)
    print(f"up {took:.1f} s; node Ready after {node - began:.1f} s, pods {pods - node:.1f} s later", flush=True)
    stack.destroy()
    return took, node - began, pods - node


def since(found: dict[str, Any]) -> float:
    """Return since when an object is Ready, in unix seconds; the API server has whole ones."""
    rows = {row["type"]: row for row in found["status"]["conditions"]}
    return datetime.fromisoformat(rows["Ready"]["lastTransitionTime"]).timestamp()


if __name__ == "__main__":
    main()
