"""An emulated Hetzner API without machines, and Hetzner's own client of it."""

from collections.abc import Iterator

import pytest
from hcloud import Client

from sandbox.hetzner.project import Project
from sandbox.hetzner.server import application
from sandbox.market.records.clock import MarketClock
from sandbox.services.http_server import Server, listener
from tests.doubles.hetzner import OWN, READER


@pytest.fixture
def project() -> Project:
    return Project(MarketClock(3000.0), {OWN: True, READER: False})


@pytest.fixture
def url(project: Project) -> Iterator[str]:
    server = Server(application(project), listener())
    server.start()
    yield f"{server.url}/v1"
    server.stop()


@pytest.fixture
def client(url: str) -> Client:
    return Client(OWN, api_endpoint=url, poll_interval=0.01)
