"""Logs that are kept beside the events of attempts that failed: in the bucket, or here until it can be reached."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from providers.ledger.bucket_ledger import PAUSE_SECONDS, BucketLedger
from providers.ledger.bucket_objects import PREFIX
from providers.ledger.event import Outcome, Reason
from tests.doubles.clock import FakeClock
from tests.providers.store.test_bucket_ledger import Shelf, event


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def ledger(shelf: Shelf, clock: FakeClock, tmp_path: Path) -> BucketLedger:
    return BucketLedger(lambda: shelf, "bucket", tmp_path / "waiting", clock)


def test_a_log_lies_beside_its_event_and_readers_of_events_skip_it(
    ledger: BucketLedger, shelf: Shelf, clock: FakeClock
) -> None:
    failed = event(clock.time(), Outcome.FAILED, reason=Reason.BOOT)
    ledger.append(failed)

    ledger.keep(failed, "the end\n")

    assert shelf.objects[PREFIX + failed.log_key] == b"the end\n"
    assert ledger.log(failed) == "the end\n"
    assert ledger.events() == [failed]
    assert ledger.log(event(clock.time() + 1)) == ""


def test_a_log_that_a_store_missed_is_read_here_and_sent_on(
    ledger: BucketLedger, shelf: Shelf, clock: FakeClock
) -> None:
    failed = event(clock.time(), Outcome.FAILED, reason=Reason.BOOT)
    shelf.broken = EndpointConnectionError(endpoint_url="http://nowhere")
    ledger.keep(failed, "the end")
    assert ledger.log(failed) == "the end"
    assert shelf.objects == {}

    shelf.broken = None
    clock.sleep(PAUSE_SECONDS)
    ledger.append(event(clock.time() + 1))

    assert shelf.objects[PREFIX + failed.log_key] == b"the end"
    assert ledger.log(failed) == "the end"


def test_what_another_process_has_sent_on_meanwhile_costs_no_pause(clock: FakeClock, tmp_path: Path) -> None:
    class Shared(Shelf):
        """While the first log arrives, another process sends the second one on."""

        def put_object(self, *, Key: str, Body: bytes, **more: Any) -> None:  # noqa: N803
            super().put_object(Key=Key, Body=Body, **more)
            if Key.endswith("-log.txt"):
                for log in tmp_path.glob("*/*-log.txt"):
                    log.unlink()

    shelf = Shared()
    ledger = BucketLedger(lambda: shelf, "bucket", tmp_path, clock)
    shelf.broken = EndpointConnectionError(endpoint_url="http://nowhere")
    for second in range(2):
        ledger.keep(event(clock.time() + second, Outcome.FAILED, reason=Reason.BOOT), "the end")
        clock.sleep(PAUSE_SECONDS)
    shelf.broken = None

    ledger.append(event(clock.time()))
    last = event(clock.time() + 1)
    ledger.append(last)

    assert PREFIX + last.key in shelf.objects
