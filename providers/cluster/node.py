"""Make the cluster's server follow stack config, over an open SSH connection: the acts behind `plan.steps`.

Every act can be run again: after a lost connection the next `pulumi up` looks anew and goes on.
"""

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from bootstrap.clock import Clock
from bootstrap.errors import HostFault
from bootstrap.host import Host
from bootstrap.remote_scripts import shell
from bootstrap.services import Progress
from config.cluster import K3sConfig
from providers.cluster.api_server import ready, service
from providers.cluster.errors import ClusterError
from providers.cluster.k3s_config import K3sSettings, k3s_config
from providers.cluster.plan import ServerFacts, Step, Wanted, steps
from providers.cluster.user_data import NODE_FILE, PROGRAM, node_file

FACTS = Path(__file__).parent / "server_files" / "facts.py"
CONFIG, PASSWORD, LOGIN = "/etc/rancher/k3s/config.yaml", "/etc/rancher/node/password", "/root/.ssh/authorized_keys"
RESTORING, DATABASE = "/var/lib/gpu-fleet/restoring", "/var/lib/rancher/k3s/server/db"
PREPARE_SECONDS, FETCH_SECONDS, RESTORE_SECONDS = 900.0, 900.0, 600.0
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class NodeSpec:
    """The wanted state of the server. `settings` lack the interface, which only the server knows; `device`: its volume."""

    settings: K3sSettings
    k3s: K3sConfig
    login: str
    node_password: str
    device: str


class Node:
    """One server, logged in to. `newest` returns the name of the newest snapshot in the bucket, or an empty text.

    Raises ClusterError with a sentence for the operator.
    """

    def __init__(
        self,
        host: Host,
        spec: NodeSpec,
        newest: Callable[[], str],
        clock: Clock,
        report: Progress,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        """`ask`: see `api_server.ready`."""
        self._host, self._spec, self._newest, self._clock, self._report = host, spec, newest, clock, report
        self._ask = ask

    def bring(self) -> str:
        """Do the missing steps. Return the kubeconfig once the API answers."""
        facts = self._prepared()
        settings = replace(self._spec.settings, interface=facts.interface)
        config = k3s_config(settings)
        # A server without data may have had a cluster before. So ask the bucket before the server starts an empty one.
        snapshot = self._newest() if not facts.data else ""
        wanted = Wanted(self._spec.k3s, _digest(config), _digest(self._spec.node_password), self._spec.login)
        for step in steps(facts, wanted, has_snapshot=bool(snapshot)):
            self._do(step, config, facts, snapshot)
        return ready(self._host, self._spec.settings.address, self._clock, self._ask)

    def grow(self) -> None:
        """Let the volume's file system fill the volume, while pods go on. Raises StepFailed."""
        shell(self._host, f"resize2fs {shlex.quote(self._spec.device)}", "the volume's file system did not grow")
        self._report("volume", "its file system fills it")

    def _prepared(self) -> ServerFacts:
        """Wait for cloud-init, and for the private network, which Hetzner attaches after the start."""
        deadline = self._clock.monotonic() + PREPARE_SECONDS
        reported = False
        while True:
            facts = self._look()
            if facts.failed and not facts.prepared:
                raise ClusterError(f"the server could not be prepared: {facts.failed}")
            if facts.prepared and facts.interface:
                return facts
            lacks = f"its private address {self._spec.settings.private}" if facts.prepared else "cloud-init"
            if self._clock.monotonic() > deadline:
                raise ClusterError(
                    f"the server still waits for {lacks} after {PREPARE_SECONDS:.0f} s; /var/log/cloud-init-output.log there "
                    "says more"
                )
            if not reported:
                self._report("prepare", f"the server waits for {lacks}")
                reported = True
            self._clock.sleep(POLL_SECONDS)

    def _look(self) -> ServerFacts:
        command = f"exec python3 -S - {shlex.quote(self._spec.settings.private)}"
        result = shell(self._host, command, "the server cannot be looked at", FACTS.read_bytes(), 120)
        try:
            return ServerFacts.model_validate(json.loads(result.stdout))
        except (ValueError, ValidationError):
            raise ClusterError(f"what the server has cannot be read: {result.tail()}") from None

    def _do(self, step: Step, config: str, facts: ServerFacts, snapshot: str) -> None:
        match step:
            case Step.AUTHORIZE:
                self._host.put(f"{self._spec.login}\n".encode(), LOGIN, 0o600)
                self._report("login", "the server knows this stack's key, and no other")
            case Step.SNAPSHOT:
                ready(self._host, self._spec.settings.address, self._clock, self._ask)
                name = f"before-{self._spec.k3s.version.replace('+', '-')}"
                shell(
                    self._host,
                    f"/usr/local/bin/k3s etcd-snapshot save --name {shlex.quote(name)}",
                    "no snapshot could be taken",
                    timeout=300,
                )
                self._report("snapshot", f"{name}, of k3s {facts.version}")
            case Step.FETCH:
                self._fetch()
                self._report("k3s", f"{self._spec.k3s.version} is installed, its digest as in stack config")
            case Step.CONFIGURE:
                self._host.put(self._spec.node_password.encode(), PASSWORD, 0o600)
                self._host.put(config.encode(), CONFIG, 0o600)
            case Step.RESTORE:
                self._restore(snapshot)
            case Step.START:
                service(self._host, "start")
            case Step.RESTART:
                service(self._host, "restart")

    def _fetch(self) -> None:
        self._host.put(node_file(self._spec.k3s, self._spec.device).encode(), NODE_FILE, 0o644)
        done = self._host.run(f"{PROGRAM} k3s", timeout=FETCH_SECONDS)
        if done.status:
            raise ClusterError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "k3s was not fetched")

    def _restore(self, snapshot: str) -> None:
        """Take the cluster's data from a snapshot. A mark tells the next run if this one ends in the middle."""
        self._report("restore", f"snapshot {snapshot}")
        command = (
            f"systemctl stop k3s; mkdir -p /var/lib/gpu-fleet && touch {RESTORING} && rm -rf {DATABASE} && "
            f"/usr/local/bin/k3s server --cluster-reset --cluster-reset-restore-path={shlex.quote(snapshot)} "
            f">/var/log/k3s-restore.log 2>&1 || {{ tail -n 4 /var/log/k3s-restore.log; exit 1; }}; rm -f {RESTORING}"
        )
        shell(self._host, command, f"the snapshot {snapshot} could not be restored", timeout=RESTORE_SECONDS)


def unreachable(error: HostFault, address: str) -> ClusterError:
    """Return the sentence for a server that does not let us in."""
    return ClusterError(
        f"{error}. If your own address is not in gpu-fleet:cluster.adminCidrs, the firewall drops what you send: compare "
        "with what `curl -4 https://icanhazip.com` says where `pulumi up` runs. "
        f"The server at {address} goes on costing. Run pulumi up again; it goes on from here."
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
