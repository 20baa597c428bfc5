"""Hosts to be bootstrapped, made in one emulator a worker."""

import contextlib
from collections.abc import Iterator

import pytest

from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.images import Images
from tests.doubles.rented import Rented, Things, prepared, rent


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Things]:
    """Kit, tiny model and CA."""
    with prepared(tmp_path_factory.mktemp("things")) as things:
        yield things


@pytest.fixture(scope="session")
def hosts(things: Things, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceHosts]:
    """Hosts with the double of vLLM."""
    cache = tmp_path_factory.mktemp("cache")
    with contextlib.closing(NamespaceHosts(cache, Images("double", cache))) as hosts:
        yield hosts


@pytest.fixture
def fresh(hosts: NamespaceHosts, things: Things) -> Iterator[Rented]:
    """A host of its own for one test, with nothing of ours on it."""
    rented = rent(hosts, things)
    yield rented
    rented.host.destroy()
