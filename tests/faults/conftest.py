"""One cloud a worker; each test ends with the market's books empty, whatever it did."""

from collections.abc import Iterator

import pytest

from providers.vast.resource import VastInstanceProvider
from tests.doubles.cloud import ACCOUNT, Cloud, running_cloud
from tests.doubles.dynamic_process import DynamicProcess
from tests.doubles.engine import engine, pulumi_on_path

__all__ = ["engine", "pulumi_on_path"]


@pytest.fixture(scope="session")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        cloud.upload()
        yield cloud


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    yield shared_cloud
    for instance in shared_cloud.rented():
        shared_cloud.sandbox.books.destroy(instance["id"])


@pytest.fixture
def process(cloud: Cloud) -> Iterator[DynamicProcess]:
    """A provider process with an engine that is there and the account's keys."""
    with DynamicProcess(VastInstanceProvider(), timeout=200) as running:
        running.configure(ACCOUNT)
        yield running
