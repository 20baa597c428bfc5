"""`pulumi up` of a cluster on the emulated Hetzner, from nothing to monitoring's objects, over its critical path.

    limit = the server's actions at Hetzner + its cloud-init + k3s' start + the engine's empty run

Actions: from the create of the server to the end of its last action, by the emulated API's own records and at their real
length. cloud-init: from there until it has finished. k3s: from its configuration, written right before its start, to its
kubeconfig, which it writes once it serves. Empty run: an `up` from nothing of the same stack without cluster and monitoring.
Not in the limit, and so part of the ratio: addresses, network, firewall and volume, the wait for SSH, every look at the
server, the read of the kubeconfig, and monitoring's objects. No pod is waited for.

The second figure is an unchanged preview of that stack over one that reaches the same cluster by a kubeconfig in config.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bench.up import timed_up
from tests.doubles.cluster_world import World, running_world, write_config
from tests.doubles.hcloud_plugin import PLUGIN, cluster_stack
from tests.doubles.pulumi_stack import Engine, Stack, environment, path_with_engine

TIME_SCALE = 1.0  # a faster clock shortens Hetzner's share of the limit, and not our work
UPS, PREVIEWS = 3, 5
PATIENCE_S = 900.0  # of one call of the engine
FINISHED = "var/lib/cloud/instances/*/boot-finished"  # cloud-init's last act
CONFIGURED, SERVES = "etc/rancher/k3s/config.yaml", "etc/rancher/k3s/k3s.yaml"
# The cluster's program without the cluster: its monitoring goes where config says.
OTHER_PROGRAM = """
import pulumi
from components.observability import observe
from components.provider_pool import ProviderPool
from components.stack_config import read_program_config, seal_inputs, stack_name
from config.base import PROJECT
from config.secret_keys import SECRETS
from providers.identity.resource import Identity

config = read_program_config()
seal_inputs(config.secret_leaves)
pool = ProviderPool(PROJECT, {key: config.source.require_secret(key) for key in SECRETS})
inputs = {"rotation": config.stack.rotation.model_dump(), "stack": stack_name()}
Identity("identity", inputs, pulumi.ResourceOptions(provider=pool.common()))
if config.stack.kubernetes:
    pulumi.export("observability", observe(config.stack, config.source, config.values, config.project))
"""


def main() -> None:
    """Measure and print."""
    path = path_with_engine(os.environ)
    if path is None or not PLUGIN.is_file():
        raise SystemExit("Bring what is missing: python3 -m tools.setup --parts engine,hcloud-plugin,hetzner")
    ratios: list[float] = []
    previews: tuple[list[float], list[float]] = [], []
    for number in range(UPS):
        with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name:
            folder = Path(name)
            engine = Engine(folder, environment(folder, path))
            try:
                with running_world(folder / "world", TIME_SCALE) as world:
                    empty, other = empty_run(engine, world)
                    stack = cluster_stack(engine)
                    stack.deadline = PATIENCE_S
                    write_config(stack, world)
                    ratios.append(over_limit(stack, world, empty))
                    if number == 0:
                        previews = beside(stack, other)
                    stack.destroy()
            finally:
                engine.close()
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    figure(f"pulumi up of a cluster over its critical path, median of {UPS}", statistics.median(ratios), "ratio", 1.2)
    own, theirs = (statistics.median(each) for each in previews)
    print(f"unchanged preview: {own:.2f} s with the cluster, {theirs:.2f} s without, medians of {PREVIEWS}", flush=True)
    figure("unchanged preview with a cluster over one without", own / theirs, "ratio", 1.3)


def empty_run(engine: Engine, world: World) -> tuple[float, Stack]:
    """Return the seconds of an `up` from nothing of a stack without cluster and monitoring, and that stack."""
    stack = cluster_stack(engine, "beside")
    (stack.folder / "__main__.py").write_text(OTHER_PROGRAM)
    write_config(stack, world)
    config = stack.read_config()
    for key in ("cluster", "kubernetes", "hcloudToken", "backupAccessKey", "backupSecretKey", "exporterMarketKey"):
        config.pop(f"gpu-fleet:{key}")
    stack.write_config(config)
    return timed_up(stack), stack


def over_limit(stack: Stack, world: World, empty: float) -> float:
    """Bring the cluster up, and return the seconds over the limit."""
    took = timed_up(stack)
    [server] = world.client.servers.get_all()
    assert server.id is not None
    root = world.machines.machine(server.id).root
    actions = [one for one in world.hetzner.project.actions.values() if ("server", server.id) in one.resources]
    made = [one for one in actions if one.command in ("create_server", "start_server", "attach_to_network")]
    at_hetzner = (max(one.ends for one in made) - min(one.begins for one in made)) / TIME_SCALE
    on = next(one.ends for one in made if one.command == "start_server")
    [finished] = root.glob(FINISHED)
    boot = written(finished) - world.hetzner.project.clock.on_the_wire(on)
    k3s = written(root / SERVES) - written(root / CONFIGURED)
    limit = at_hetzner + boot + k3s + empty
    print(
        f"up {took:.2f} s; limit {limit:.2f} s = actions {at_hetzner:.2f} + cloud-init {boot:.2f} + k3s {k3s:.2f} + "
        f"empty run {empty:.2f}",
        flush=True,
    )
    return took / limit


def written(file: Path) -> float:
    """Return when a file was written, in unix seconds."""
    return file.stat().st_mtime


def beside(stack: Stack, other: Stack) -> tuple[list[float], list[float]]:
    """Return the seconds of unchanged previews: with the cluster, and of a stack that reaches it by a kubeconfig."""
    (other.folder / "kubeconfig").write_text(stack.outputs()["kubeconfig"])
    config = {key: value for key, value in stack.read_config().items() if "cluster" not in key and "backup" not in key}
    config["gpu-fleet:kubernetes"] |= {"kubeconfig": "kubeconfig", "namespace": "beside"}
    config["gpu-fleet:metrics"] = {**config.get("gpu-fleet:metrics", {}), "url": "https://receiver.example:8443"}
    other.write_config(config)
    other.up()
    own: list[float] = []
    theirs: list[float] = []
    for _ in range(PREVIEWS):
        for one, seconds in ((stack, own), (other, theirs)):
            began = time.perf_counter()
            one.preview("--expect-no-changes")
            seconds.append(time.perf_counter() - began)
    return own, theirs


if __name__ == "__main__":
    main()
