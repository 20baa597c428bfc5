"""The store's contract against a real one: opt-in, because it needs an account.

STORE_LIVE=read pytest -m live tests/live/test_store.py    # lists the buckets; changes nothing
STORE_LIVE=make pytest -m live tests/live/test_store.py    # makes a bucket, writes 5 MB, and removes both

with STORE_ENDPOINT (https://fsn1.your-objectstorage.com), STORE_REGION (fsn1), STORE_ACCESS_KEY and STORE_SECRET_KEY.
"""

import os
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from providers.store.client import Keys, connect
from tests.doubles import store_contract

pytestmark = [pytest.mark.live, pytest.mark.enable_socket, pytest.mark.timeout(900)]
MODE = os.environ.get("STORE_LIVE", "")
NAMES = ("STORE_ENDPOINT", "STORE_REGION", "STORE_ACCESS_KEY", "STORE_SECRET_KEY")
CLOCK = SystemClock()


@pytest.fixture
def store() -> tuple[Any, str, str]:
    """Client, endpoint and region."""
    endpoint, region, access, secret = (os.environ.get(name, "") for name in NAMES)
    if not MODE or not (endpoint and region and access and secret):
        pytest.skip(f"set STORE_LIVE=read or STORE_LIVE=make, and {', '.join(NAMES)}")
    return connect(endpoint, region, Keys(access, secret)), endpoint, region


def test_reading(store: tuple[Any, str, str]) -> None:
    store_contract.reading(*store, CLOCK)


def test_making(store: tuple[Any, str, str]) -> None:
    if MODE != "make":
        pytest.skip("STORE_LIVE=make allows this test to make a bucket and to remove it")
    store_contract.making(*store, CLOCK)
