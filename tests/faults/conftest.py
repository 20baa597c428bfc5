"""One cloud a worker; each test ends with nothing rented, whatever it did."""

from collections.abc import Iterator

import pytest

from providers.vast.resource import VastInstanceProvider
from tests.doubles.cloud import ACCOUNT, Cloud
from tests.doubles.dynamic_process import DynamicProcess
from tests.doubles.engine import engine, pulumi_on_path

__all__ = ["engine", "pulumi_on_path"]


@pytest.fixture(scope="session")
def shared_cloud(worker_cloud: Cloud) -> Cloud:
    """The worker's cloud with an identity, a bucket and the tiny model for providers that are called without a stack."""
    worker_cloud.upload()
    return worker_cloud


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    """That cloud, as the fixture of all rooms leaves it."""
    shared_cloud.clear()
    yield shared_cloud
    shared_cloud.clear()


@pytest.fixture
def process(cloud: Cloud) -> Iterator[DynamicProcess]:
    """A provider process with an engine that is there and the account's keys."""
    with DynamicProcess(VastInstanceProvider(), timeout=200) as running:
        running.configure(ACCOUNT)
        yield running
