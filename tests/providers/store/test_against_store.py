"""The store's contract against the sandbox's store; tests/live is its twin."""

import pytest

from bootstrap.clock import SystemClock
from sandbox.services.object_store import REGION
from tests.doubles import store_contract

pytestmark = pytest.mark.service


@pytest.mark.parametrize("fault", [None, "store-bucket-late", "store-has-tags", "store-wants-md5", "store-times-out"])
def test_the_contract_holds(store, s3, faults, fault):
    if fault:
        faults.arm(fault)
    store_contract.reading(s3, store.endpoint, REGION, SystemClock())
    store_contract.making(s3, store.endpoint, REGION, SystemClock())
