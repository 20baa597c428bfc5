"""Hosts for tests: made in one emulator a worker, each given back when its test ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from sandbox.hosts.backend import NamespaceHosts, demand_isolation
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.images import Images
from sandbox.hosts.spec import HostsError
from tests.doubles.emulated import spec


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    try:
        demand_isolation()
    except HostsError as error:
        for item in items:
            if item.get_closest_marker("host"):
                item.add_marker(pytest.mark.skip(reason=str(error)))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceHosts]:
    cache = tmp_path_factory.mktemp("cache")
    with contextlib.closing(NamespaceHosts(cache, Images("double", cache))) as hosts:
        yield hosts


@pytest.fixture
def make(emulator: NamespaceHosts) -> Iterator[Callable[..., NamespaceHost]]:
    made = []

    def one(**changes: object) -> NamespaceHost:
        made.append(emulator.create(spec(**changes)))
        return made[-1]

    yield one
    for host in made:
        host.destroy()
