"""The ledger in the stack's bucket: one object an event, `ledger/<day>/<time>-<stack id>.<name>.<outcome>....json`.

An event lies in a folder of this machine before it is sent, and until it has arrived: a store that refuses or does not
answer costs a few seconds once a minute, and what it missed is sent on by whoever writes next. Reading takes the newest
days first, and of each attempt only its end, which the key tells. Neither ever raises: giving back must not hang on it.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bootstrap.clock import Clock
from providers.ledger.bucket_objects import PREFIX, READERS, listed, listed_at_once, read_events
from providers.ledger.event import ENDS, Event, KeyParts
from providers.ledger.folder_ledger import FolderLedger, ledger_home, meant
from providers.ledger.ledger import LOG_BYTES
from providers.ledger.machine_history import MachineHistory, fold
from providers.store.client import Keys, connect
from providers.store.errors import StoreError, readable

DAYS = 14  # a failure is avoided for a week at most, and then weighs half
MOST_ENDS = 1000  # of attempts, the newest
FRESH_SECONDS = 60.0
READ_SECONDS = 5.0
PAUSE_SECONDS = 60.0  # after a store that failed, before it is tried again
SENT_ON = 200  # events that waited, at a time
FAILURES = (BotoCoreError, ClientError, StoreError, OSError)


@lru_cache(maxsize=8)
def open_ledger(endpoint: str, region: str, bucket: str, keys: Keys, clock: Clock) -> "BucketLedger | FolderLedger":
    """Return the one ledger of this process for a bucket; without keys of the store it lies on this machine alone."""
    home = ledger_home(os.environ, bucket)
    if not keys.access or not keys.secret:
        return FolderLedger(home)
    return BucketLedger(lambda: connect(endpoint, region, keys, 1, READ_SECONDS), bucket, home, clock)


class BucketLedger:
    """Satisfies `providers.ledger.ledger.Ledger`. `connect` makes the boto3 client at the first use; `waiting` is the folder
    for events that have not arrived. Thread-safe.
    """

    def __init__(self, connect: Callable[[], Any], bucket: str, waiting: Path, clock: Clock) -> None:
        self._connect, self._bucket, self._waiting, self._clock = connect, bucket, waiting, clock
        self._folder = FolderLedger(waiting)
        self._lock = Lock()
        self._s3: Any = None
        self._try_again_at = float("-inf")
        self._read_at = float("-inf")
        self._known: Mapping[int, MachineHistory] = {}

    def append(self, event: Event) -> None:
        """Write an event down, here and in the bucket."""
        try:
            file = self._folder.write(event)
        except OSError:
            file = None
        if self._clock.monotonic() < self._try_again_at:
            return
        try:
            self._put(event.key, event.model_dump_json(exclude_none=True))
            if file:
                file.unlink(missing_ok=True)
            self._send_on()
        except FAILURES:
            self._try_again_at = self._clock.monotonic() + PAUSE_SECONDS

    def keep(self, event: Event, text: str) -> None:
        """Write a log down beside its event, here and in the bucket; one that does not arrive is sent on as events are."""
        try:
            file = self._folder.write_at(event.log_key, text)
        except OSError:
            return
        if self._clock.monotonic() < self._try_again_at:
            return
        try:
            self._put(event.log_key, text, "text/plain; charset=utf-8")
            file.unlink(missing_ok=True)
        except FAILURES:
            self._try_again_at = self._clock.monotonic() + PAUSE_SECONDS

    def log(self, event: Event) -> str:
        """Return the log that is kept beside an event; empty where there is none, or none to be had."""
        return self._folder.log(event) or self._log(event)

    def _log(self, event: Event) -> str:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=PREFIX + event.log_key)
            text: bytes = answer["Body"].read(LOG_BYTES)
        except FAILURES:
            return ""
        return text.decode(errors="replace")

    def records(self) -> Mapping[int, MachineHistory]:
        """Return what is known of machines, a minute old at most; what was known before where the store does not answer."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._read_at >= FRESH_SECONDS and now >= self._try_again_at:
                try:
                    # What waits here has not arrived there; an event that is in both counts once.
                    self._known = fold([*self._ends(), *self._folder.events()])
                    self._read_at = now
                except FAILURES:
                    self._try_again_at = now + PAUSE_SECONDS
            return self._known or self._folder.records()

    def events(self, stack_id: str | None = None, name: str | None = None) -> list[Event]:
        """Return the events of the last days in the order of time: all, or those of one stack or one instance.

        Raises StoreError.
        """
        with readable(self._client.meta.endpoint_url, self._bucket):
            keys = [key for key, parts in self._keys() if meant(parts, stack_id, name)]
            there = self._read(keys)
        found = {event.key: event for event in [*there, *self._folder.events(stack_id, name)]}
        return [found[key] for key in sorted(found)]

    def _ends(self) -> Iterable[Event]:
        keys = [key for key, parts in self._keys() if parts.outcome in ENDS]
        return self._read(sorted(keys, reverse=True)[:MOST_ENDS])

    def _keys(self) -> list[tuple[str, KeyParts]]:
        today = datetime.fromtimestamp(self._clock.time(), UTC)
        days = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(-1, DAYS)]
        few = listed_at_once(self._client, self._bucket, days[-1])
        if few is not None:
            return few
        with ThreadPoolExecutor(READERS) as pool:
            return [pair for day in pool.map(self._of_day, days) for pair in day]

    def _of_day(self, day: str) -> list[tuple[str, KeyParts]]:
        return list(listed(self._client, self._bucket, day))

    def _read(self, keys: list[str]) -> list[Event]:
        return read_events(self._client, self._bucket, keys)

    def _put(self, key: str, text: str, kind: str = "application/json") -> None:
        self._client.put_object(Bucket=self._bucket, Key=PREFIX + key, Body=text.encode(), ContentType=kind)

    def _send_on(self) -> None:
        for event in self._folder.events()[:SENT_ON]:
            self._put(event.key, event.model_dump_json(exclude_none=True))
            (self._waiting / event.key).unlink(missing_ok=True)
        for key in self._folder.logs()[:SENT_ON]:
            file = self._waiting / key
            try:
                text = file.read_text(errors="replace")
            except FileNotFoundError:  # another process has sent it on
                continue
            self._put(key, text, "text/plain; charset=utf-8")
            file.unlink(missing_ok=True)

    @property
    def _client(self) -> Any:
        if self._s3 is None:
            self._s3 = self._connect()
        return self._s3
