"""The ledger as somebody reads it who adds it up for long: everything at first, and then only what has come since."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from bootstrap.clock import Clock
from providers.store.client import objects
from providers.store.errors import readable
from providers.store.ledger import DAYS, PREFIX, READERS
from providers.vast.event import Event, parse, parse_key


class LedgerTail:
    """Reads one bucket's ledger. `connect` makes the boto3 client at the first use. For one thread."""

    def __init__(self, connect: Callable[[], Any], bucket: str, clock: Clock) -> None:
        self._connect, self._bucket, self._clock = connect, bucket, clock
        self._s3: Any = None
        self._seen: set[str] = set()
        self._whole = False

    def fresh(self) -> list[Event]:
        """Return the events that no call has returned yet, in the order of time. Raises StoreError, and then has lost none.

        An event may arrive late, because it waited on a machine that did not reach the store: two weeks are looked through
        again each time.
        """
        if self._s3 is None:
            self._s3 = self._connect()
        days_ago = datetime.fromtimestamp(self._clock.time(), UTC) - timedelta(days=DAYS)
        after = f"{PREFIX}{days_ago:%Y-%m-%d}" if self._whole else ""
        with readable(self._s3.meta.endpoint_url, self._bucket):
            listed = [row["Key"].removeprefix(PREFIX) for row in objects(self._s3, self._bucket, PREFIX, after)]
            keys = sorted(key for key in listed if key not in self._seen and parse_key(key))
            with ThreadPoolExecutor(READERS) as pool:
                texts = list(pool.map(self._read, keys))
        self._seen.update(keys)
        self._whole = True
        return [event for text in texts if (event := parse(text))]

    def _read(self, key: str) -> str:
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=PREFIX + key)["Body"].read()
        return body.decode(errors="replace")
