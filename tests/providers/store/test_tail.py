"""The ledger read on and on: all of it at first, then what is new, late arrivals among it."""

import pytest
from botocore.exceptions import EndpointConnectionError

from providers.ledger.bucket_ledger import DAYS
from providers.ledger.bucket_objects import PREFIX
from providers.ledger.tail import LedgerTail
from providers.store.errors import StoreError
from tests.doubles.clock import FakeClock
from tests.providers.store.test_bucket_ledger import DAY, Shelf, event


def shelved(shelf: Shelf, *ats: float) -> None:
    for at in ats:
        one = event(at)
        shelf.objects[PREFIX + one.key] = one.model_dump_json().encode()


def test_what_was_read_is_not_read_again_and_what_comes_late_is_not_missed() -> None:
    shelf, clock = Shelf(), FakeClock()
    now = clock.time()
    tail = LedgerTail(lambda: shelf, "bucket", clock)
    shelved(shelf, now - 100 * DAY, now - 5)
    shelf.objects[f"{PREFIX}note.txt"] = b"none of ours"

    assert [one.at for one in tail.fresh()] == [now - 100 * DAY, now - 5]
    assert tail.fresh() == []
    shelved(shelf, now - DAY, now - 1)
    assert [one.at for one in tail.fresh()] == [now - DAY, now - 1]


def test_a_store_that_is_down_costs_no_event() -> None:
    shelf, clock = Shelf(), FakeClock()
    tail = LedgerTail(lambda: shelf, "bucket", clock)
    shelved(shelf, clock.time())
    shelf.broken = EndpointConnectionError(endpoint_url="http://shelf")

    with pytest.raises(StoreError):
        tail.fresh()

    shelf.broken = None
    assert len(tail.fresh()) == 1


def test_later_looks_list_two_weeks_and_no_more() -> None:
    shelf, clock = Shelf(), FakeClock()
    tail = LedgerTail(lambda: shelf, "bucket", clock)
    tail.fresh()
    shelved(shelf, clock.time() - (DAYS + 2) * DAY, clock.time() - (DAYS - 2) * DAY)

    assert [one.at for one in tail.fresh()] == [clock.time() - (DAYS - 2) * DAY]
