from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.store.store import Store
from tests.doubles.api import Api, running_api


@pytest.fixture
def api(store: Store) -> Iterator[Api]:
    with running_api(store) as api:
        yield api
