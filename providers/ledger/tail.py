"""Read a bucket's ledger again and again, as the exporter does: everything at first, then only the new events."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bootstrap.clock import Clock
from providers.ledger.bucket_ledger import DAYS
from providers.ledger.bucket_objects import listed, read_events
from providers.ledger.event import Event
from providers.store.client import LateClient
from providers.store.errors import explain_errors


class LedgerTail:
    """Read one bucket's ledger. `connect` makes the boto3 client at the first use. For one thread."""

    def __init__(self, connect: Callable[[], Any], bucket: str, clock: Clock) -> None:
        self._client, self._bucket, self._clock = LateClient(connect), bucket, clock
        self._seen: set[str] = set()
        self._whole = False

    def fresh(self) -> list[Event]:
        """Return the events that no call has returned yet, in the order of time.

        Raises StoreError; the next call then returns the same events. An event may arrive days late, if it waited on a
        machine that could not reach the store, so that each call lists the last DAYS days again.
        """
        s3 = self._client()
        days_ago = datetime.fromtimestamp(self._clock.time(), UTC) - timedelta(days=DAYS)
        since = f"{days_ago:%Y-%m-%d}" if self._whole else ""
        with explain_errors(s3.meta.endpoint_url, self._bucket):
            found = listed(s3, self._bucket, since=since)
            keys = sorted(key for key, _ in found if key not in self._seen)
            events = read_events(s3, self._bucket, keys)
        self._seen.update(keys)
        self._whole = True
        return events
