"""The emulated Hetzner of one sandbox: the API, the machines of its servers, and k3s' releases. It starts on request."""

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

from sandbox.faults import Faults
from sandbox.hetzner import k3s_binary
from sandbox.hetzner.downloads import Downloads
from sandbox.hetzner.image import Image, folder_in, of_k3s, with_node
from sandbox.hetzner.machines import Machines, MachinesError, NoMachines
from sandbox.hetzner.namespace_machines import NamespaceMachines
from sandbox.hetzner.project import Project
from sandbox.hetzner.server import application
from sandbox.hetzner.servers import Server as HetznerServer
from sandbox.market.records.clock import MarketClock
from sandbox.services.child import ServiceError
from sandbox.services.http_server import Server, listener
from sandbox.settings import HETZNER_TOKEN, Settings

MOVE = "run `python -m sandbox up --hetzner-port PORT`"


class Hetzner:
    """One Hetzner at most. It shares the market's clock and faults, and ends with this process, also by kill -9."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one_start = threading.Lock()
        self._undo = contextlib.ExitStack()
        self._url = ""
        self._project: Project | None = None

    def start(
        self,
        clock: MarketClock,
        faults: Faults,
        outward: Mapping[str, tuple[str, int]],
        ca_pem: str,
        *,
        with_machines: bool,
    ) -> None:
        """Start it; harmless if it runs. `outward` and `ca_pem`: what its servers reach besides k3s' releases.

        On a failure, end all of it and raise ServiceError.
        """
        with self._one_start:
            if self._url:
                return
            with contextlib.ExitStack() as undo:
                bound = listener(self._settings.hetzner_port, "the Hetzner API", MOVE)
                undo.callback(bound.close)
                machines = self._machines(undo, outward, ca_pem) if with_machines else NoMachines()
                project = Project(clock, {HETZNER_TOKEN: True}, machines=machines, faults=faults)
                api = Server(application(project), bound)
                api.start()
                undo.callback(api.stop)
                faults.bring("hetzner")
                self._url, self._project, self._undo = f"{api.url}/v1", project, undo.pop_all()

    def stop(self) -> None:
        """End it with its servers. Stopping twice is harmless."""
        with self._one_start:
            self._url, self._project = "", None
            self._undo.close()

    def status(self) -> dict[str, Any] | None:
        """Return its address, its token and its resources; None if it does not run."""
        project = self._project
        if project is None:
            return None
        with project.lock:
            project.settle()
            return {
                "url": self._url,
                "token": HETZNER_TOKEN,
                "has_machines": not isinstance(project.machines, NoMachines),
                "runs_pods": isinstance(project.machines, NamespaceMachines) and self._settings.node_images is not None,
                "k3s": {"version": k3s_binary.VERSION, "sha256": k3s_binary.sha256(k3s_binary.VERSION)},
                "servers": [
                    {"id": one.id, "name": one.name, "status": one.status, "ipv4": one.ipv4(project)}
                    for one in project.all(HetznerServer)
                ],
                "resources": {kind: len(rows) for kind, rows in project.resources.items() if rows},
            }

    def _machines(self, undo: contextlib.ExitStack, outward: Mapping[str, tuple[str, int]], ca_pem: str) -> Machines:
        home, cache = self._settings.state / "hetzner", self._settings.cache
        downloads = Downloads(self._settings.state / "hetzner-downloads")
        undo.callback(downloads.stop)
        downloads.start()
        try:
            image = Image(folder_in(cache), of_k3s(cache))
            if self._settings.node_images is not None:
                image = with_node(image, sorted(self._settings.node_images.glob("*.tar")))
            machines = NamespaceMachines(
                home, cache, image, {**outward, **downloads.outward}, ca_pem + downloads.ca_pem
            )
        except MachinesError as error:
            raise ServiceError(f"{error} Or start the API alone, without machines: --hetzner api") from error
        undo.callback(machines.close)
        return machines
