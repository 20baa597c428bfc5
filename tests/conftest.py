"""For all rooms: the tier of a run; the real vLLM's tests on one worker; properties on the same examples each time, without
a clock. TIER=deep takes ten times as many examples, and `--hypothesis-profile=search` looks for new ones."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests import tiers

if TYPE_CHECKING:
    from tests.doubles.cloud import Cloud

ANY_PACE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", ANY_PACE, derandomize=True, max_examples=40)
settings.register_profile("deep", ANY_PACE, derandomize=True, max_examples=400)
settings.register_profile("search", ANY_PACE, max_examples=2000)
settings.load_profile("deep" if os.environ.get(tiers.TIER) == "deep" else "same")

TIER = pytest.StashKey[tiers.Tier]()
SERVERS = frozenset({"postgres", "s3"})  # fixtures that start a server
RESOLVE = pytest.StashKey[Callable[..., Any]]()


def pytest_configure(config: pytest.Config) -> None:
    """Find the tier once."""
    config.stash[TIER] = tiers.tier_of(os.environ, tiers.head())
    config.stash[RESOLVE] = socket.getaddrinfo


def pytest_report_header(config: pytest.Config) -> str:
    """Name the slice, so that it can be played again."""
    return f"tier: {config.stash[TIER]}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let only a live test ask for the address of a name of the world: without a network the answer takes half a minute."""
    resolve = item.config.stash[RESOLVE]
    if item.get_closest_marker("live"):
        socket.getaddrinfo = resolve
        return

    def local_only(host: Any, *words: Any, **named: Any) -> Any:
        if _is_name_of_the_world(host):
            raise socket.gaierror(socket.EAI_NONAME, f"a test asks for the address of {host}")
        return resolve(host, *words, **named)

    socket.getaddrinfo = local_only


def _is_name_of_the_world(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    return any(one.isalpha() for one in name) and ":" not in name and name not in ("localhost", socket.gethostname())


@pytest.fixture(scope="session")
def tier(pytestconfig: pytest.Config) -> tiers.Tier:
    """What this run takes, for tests that find their cases while they run."""
    return pytestconfig.stash[TIER]


@pytest.fixture(scope="session")
def worker_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One emulated cloud for all tests of a worker; take it through `cloud`, which leaves it empty."""
    from tests.doubles.cloud import running_cloud  # noqa: PLC0415 -- pure tests need nothing of it

    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def cloud(worker_cloud: Cloud) -> Iterator[Cloud]:
    """The worker's cloud: no fault strikes and nothing is rented when the test begins and when it has ended.

    Each test brings a stack, a bucket and a label of its own. A test that strikes the whole store or needs another time
    scale runs a cloud of its own, by `running_cloud`.
    """
    worker_cloud.clear()
    yield worker_cloud
    worker_cloud.clear()


@pytest.hookimpl(tryfirst=True)
@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what rotates and is not in the slice, mark what starts a server, and part what cannot run beside itself.

    Two real vLLMs at once are slower than one after the other, and need twice the memory: one worker gets them all.
    """
    out = tiers.left_out(items, config.stash[TIER])
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]
    tiers.quarantine(items)
    for item in items:
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.service)
        if item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.xdist_group("vllm"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what is quarantined: each is a debt with a reason."""
    if lines := tiers.quarantined(terminalreporter.stats):
        terminalreporter.section("quarantined tests, which decide nothing")
        for line in lines:
            terminalreporter.write_line(line)
