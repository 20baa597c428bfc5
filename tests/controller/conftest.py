from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.store.store import Store
from sandbox.services.postgres import Postgres
from tests.doubles.database import fresh_database


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.remove()


@pytest.fixture
def dsn(postgres: Postgres) -> Iterator[str]:
    with fresh_database(postgres) as dsn:
        yield dsn


@pytest.fixture
def store(dsn: str) -> Iterator[Store]:
    opened = Store(dsn)
    opened.open()
    yield opened
    opened.close()
