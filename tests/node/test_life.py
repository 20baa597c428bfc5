"""A node on this machine: ready, a pod runs on it, and nothing is left when it ends, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.node.node import Node
from tests.doubles.node_traces import left, look, processes
from tests.doubles.real_node import REPO, images, pod, ready
from tests.doubles.until import until

pytestmark = [
    pytest.mark.host,
    pytest.mark.deep,
    pytest.mark.xdist_group("node"),
    pytest.mark.allow_hosts(["127.0.0.0/8", "10.222.0.0/16", "10.244.0.0/16"]),  # of the node's own network
]
# Starts a node in a process that the test kills, and says when the node is ready.
ALONE = """
import sys, time
from pathlib import Path
from sandbox.node.node import Node
node = Node(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
node.start()
print("ready", flush=True)
time.sleep(3600)
"""


def test_a_pod_runs_and_nothing_is_left(tmp_path: Path) -> None:
    before = look(tmp_path)
    node = Node(tmp_path / "home", images())
    try:
        node.start()
        cluster = Cluster(*reach(node.kubeconfig()))
        cluster.apply(pod("serves"))
        until(lambda: ready(cluster, pod("serves")), "the pod", 60)
        assert left(before, look(tmp_path)) != []
        assert look(tmp_path).settings == before.settings
        assert processes(tmp_path)
    finally:
        node.stop()

    assert left(before, look(tmp_path)) == []
    assert processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_node_that_is_killed(tmp_path: Path) -> None:
    before = look(tmp_path)
    words = [sys.executable, "-c", ALONE, str(tmp_path / "home"), *map(str, images())]
    with subprocess.Popen(words, cwd=REPO, stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        assert alone.stdout.readline() == "ready\n"
        alone.send_signal(signal.SIGKILL)

    until(lambda: processes(tmp_path) == [], "the end of every process", 60)
    until(lambda: list(tmp_path.iterdir()) == [], "the end of the files", 30)
    assert left(before, look(tmp_path)) == []


def test_a_node_starts_where_one_and_its_keeper_were_killed(tmp_path: Path) -> None:
    before = look(tmp_path)
    home = tmp_path / "home"
    words = [sys.executable, "-c", ALONE, str(home), *map(str, images())]
    with subprocess.Popen(words, cwd=REPO, stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        assert alone.stdout.readline() == "ready\n"
        for number in keepers(home):
            os.kill(number, signal.SIGKILL)
        alone.send_signal(signal.SIGKILL)
    until(lambda: processes(tmp_path) == [], "the end of every process", 60)
    assert home.exists()

    with Node(home, images()):
        pass

    assert left(before, look(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def keepers(home: Path) -> list[int]:
    """Return the processes that would clean up."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        words = file.read_bytes().decode(errors="replace").split("\0")
        if "sandbox.node.keeper" in words and any(str(home) in word for word in words):
            found.append(int(file.parent.name))
    return found


def test_two_nodes_run_beside_each_other(tmp_path: Path) -> None:
    with Node(tmp_path / "one", images()) as one, Node(tmp_path / "other", images()) as other:
        assert one.plan.number != other.plan.number
        for node in (one, other):
            cluster = Cluster(*reach(node.kubeconfig()))
            cluster.apply(pod("serves"))
            until(lambda cluster=cluster: ready(cluster, pod("serves")), "the pod", 60)  # type: ignore[misc]


def test_a_node_that_restarts_runs_its_pods_again(node: Node) -> None:
    cluster = Cluster(*reach(node.kubeconfig()))
    cluster.apply(pod("stays"))
    until(lambda: ready(cluster, pod("stays")), "the pod", 60)
    ran = started(cluster)

    node.restart()

    until(lambda: started(cluster) != ran and ready(cluster, pod("stays")), "the pod after the restart", 120)
    cluster.delete(pod("stays"))


def started(cluster: Cluster) -> str:
    """Return since when the pod's container runs, empty while it does not."""
    live = cluster.get(pod("stays")) or {}
    [state] = [row["state"] for row in live.get("status", {}).get("containerStatuses", [])] or [{}]
    return str(state.get("running", {}).get("startedAt", ""))


def test_what_lacks_is_said_with_the_command_that_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    began = time.monotonic()

    with pytest.raises(Exception, match=r"kubelet is missing. Bring it: python3 -m tools.setup --parts node"):
        Node(tmp_path / "home", []).start()
    assert time.monotonic() - began < 5
