"""Hosts for tests: made in one emulator a worker, each given back when its test ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.images import Images
from tests.doubles.emulated import spec


def namespaces_allowed() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare") or not Path("/usr/sbin/sshd").exists():
        return False
    return subprocess.run(["unshare", "-mpnf", "true"], check=False, capture_output=True).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if namespaces_allowed():
        return
    skip = pytest.mark.skip(reason="emulated hosts need root, namespaces and openssh-server")
    for item in items:
        if item.get_closest_marker("host"):
            item.add_marker(skip)


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
