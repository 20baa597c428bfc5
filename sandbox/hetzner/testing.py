"""Runs an emulated Hetzner for tests: the API on a free port, with machines behind it or without."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.hetzner.machines import Machines, NoMachines
from sandbox.hetzner.project import Project
from sandbox.hetzner.server import application
from sandbox.market.records.clock import MarketClock
from sandbox.services.http_server import Server, listener
from sandbox.settings import HETZNER_TOKEN


@dataclass(frozen=True)
class RunningHetzner:
    """A running API: its URL with /v1, and the project's state for assertions."""

    url: str
    token: str
    project: Project


@contextlib.contextmanager
def running_hetzner(machines: Machines | None = None, time_scale: float = 300.0) -> Iterator[RunningHetzner]:
    """Run the API until the block ends. `time_scale`: emulated seconds of actions in a real second."""
    project = Project(MarketClock(time_scale), {HETZNER_TOKEN: True}, machines=machines or NoMachines())
    server = Server(application(project), listener())
    server.start()
    try:
        yield RunningHetzner(f"{server.url}/v1", HETZNER_TOKEN, project)
    finally:
        server.stop()
