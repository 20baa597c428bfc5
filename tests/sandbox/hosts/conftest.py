"""Hosts for tests: made in one emulator a worker, each given back when its test ends."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.hosts.backend import NamespaceHosts, demand_isolation
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.images import Images
from sandbox.hosts.spec import HostsError
from tests.doubles.emulated import spec

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Yield an ordinary user's id and a folder of his own."""
    if os.geteuid() != 0:
        yield os.geteuid(), tmp_path
        return
    user = pwd.getpwnam("nobody").pw_uid
    become = ["setpriv", f"--reuid={user}", "--clear-groups"]
    if subprocess.run([*become, "test", "-r", ROOT / "sandbox"], check=False).returncode:
        pytest.skip("an ordinary user cannot read this checkout")
    trial = [*become, "unshare", "-Urmpnf", "--mount-proc", "true"]
    if subprocess.run(trial, check=False, capture_output=True).returncode:
        pytest.skip("this machine gives ordinary users no namespaces")
    made = subprocess.run([*become, "mktemp", "-d"], check=True, capture_output=True, text=True)
    yield user, Path(made.stdout.strip())
    shutil.rmtree(made.stdout.strip())
