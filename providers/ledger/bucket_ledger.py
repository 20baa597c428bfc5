"""Keep the ledger in the stack's bucket, one object an event: `ledger/<day>/<time>-<stack id>.<name>.<outcome>....json`.

An event is first written to a folder of this machine and stays there until the bucket has it. A store that refuses or
does not answer costs a few seconds once a minute. The next process that writes also sends the events that waited.
Reading takes the newest days first, and of each attempt only its end, which the key names.
Neither writing nor `records` ever raises, because giving back must not wait for the store.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bootstrap.clock import Clock
from providers.ledger.bucket_objects import PREFIX, READERS, listed, listed_at_once, read_events
from providers.ledger.event import ENDS, Event, KeyParts, Outcome
from providers.ledger.folder_ledger import FolderLedger, is_asked, is_selected, ledger_home
from providers.ledger.ledger import LOG_BYTES
from providers.ledger.machine_history import MachineHistory, fold
from providers.store.client import Keys, LateClient, connect
from providers.store.errors import StoreError, explain_errors

DAYS = 14  # a failed machine is avoided for a week at most; a failure weighs half after another week
MOST_ENDS = 1000  # ends of attempts that are read, the newest
FRESH_SECONDS = 60.0
READ_SECONDS = 5.0
PAUSE_SECONDS = 60.0  # from a failure of the store to the next try
SENT_ON = 200  # waiting events that one write sends
FAILURES = (BotoCoreError, ClientError, StoreError, OSError)


@lru_cache(maxsize=8)
def open_ledger(endpoint: str, region: str, bucket: str, keys: Keys, clock: Clock) -> "BucketLedger | FolderLedger":
    """Return the one ledger of this process for a bucket. Without the store's keys, the ledger is a local folder."""
    home = ledger_home(os.environ, bucket)
    if not keys.access or not keys.secret:
        return FolderLedger(home)
    return BucketLedger(lambda: connect(endpoint, region, keys, 1, READ_SECONDS), bucket, home, clock)


class BucketLedger:
    """Write and read one bucket's ledger; satisfies `providers.ledger.ledger.Ledger`. Thread-safe.

    `connect` makes the boto3 client at the first use. `waiting` is the folder for events that the bucket lacks.
    """

    def __init__(self, connect: Callable[[], Any], bucket: str, waiting: Path, clock: Clock) -> None:
        self._client, self._bucket = LateClient(connect), bucket
        self._waiting, self._clock = waiting, clock
        self._folder = FolderLedger(waiting)
        self._lock = Lock()
        self._try_again_at = float("-inf")
        self._read_at = float("-inf")
        self._known: Mapping[int, MachineHistory] = {}

    def append(self, event: Event) -> None:
        """Write an event to the folder and to the bucket."""
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
        """Write a log beside its event, to the folder and to the bucket. The next write sends a log that waited."""
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
        """Return the log beside an event; empty if there is none or the store does not answer."""
        return self._folder.log(event) or self._log(event)

    def _log(self, event: Event) -> str:
        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=PREFIX + event.log_key)
            text: bytes = answer["Body"].read(LOG_BYTES)
        except FAILURES:
            return ""
        return text.decode(errors="replace")

    def machine_histories(self) -> Mapping[int, MachineHistory]:
        """Return each machine's history by its id, a minute old at most. If the store fails, return the last known ones."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._read_at >= FRESH_SECONDS and now >= self._try_again_at:
                try:
                    # The bucket lacks the events that wait in the folder. `fold` counts an event of both once.
                    self._known = fold([*self._ends(), *self._folder.events()])
                    self._read_at = now
                except FAILURES:
                    self._try_again_at = now + PAUSE_SECONDS
            return self._known or self._folder.machine_histories()

    def events(self, stack_id: str | None = None, name: str | None = None) -> list[Event]:
        """Return the events of the last DAYS days in the order of time: all, or those of one stack or one instance.

        Raises StoreError.
        """
        with explain_errors(self._client().meta.endpoint_url, self._bucket):
            keys = [key for key, parts in self._keys() if is_selected(parts, stack_id, name)]
            stored = self._read(keys)
        found = {event.key: event for event in [*stored, *self._folder.events(stack_id, name)]}
        return [found[key] for key in sorted(found)]

    def fresh(
        self, stack_id: str | None, since: str, outcomes: Collection[Outcome], known: Collection[str] = ()
    ) -> list[Event]:
        """Return events of some outcomes from a day (YYYY-MM-DD) on, without those whose keys are known.

        They are those of a stack, or all. Raises StoreError.
        """
        with explain_errors(self._client().meta.endpoint_url, self._bucket):
            found = listed(self._client(), self._bucket, since=since)
            stored = self._read(
                [key for key, parts in found if is_asked(parts, stack_id, outcomes) and key not in known]
            )
        return [*stored, *self._folder.fresh(stack_id, since, outcomes, known)]

    def _ends(self) -> Iterable[Event]:
        keys = [key for key, parts in self._keys() if parts.outcome in ENDS]
        return self._read(sorted(keys, reverse=True)[:MOST_ENDS])

    def _keys(self) -> list[tuple[str, KeyParts]]:
        today = datetime.fromtimestamp(self._clock.time(), UTC)
        days = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(-1, DAYS)]
        few = listed_at_once(self._client(), self._bucket, days[-1])
        if few is not None:
            return few
        with ThreadPoolExecutor(READERS) as pool:
            return [pair for day in pool.map(self._of_day, days) for pair in day]

    def _of_day(self, day: str) -> list[tuple[str, KeyParts]]:
        return list(listed(self._client(), self._bucket, day))

    def _read(self, keys: list[str]) -> list[Event]:
        return read_events(self._client(), self._bucket, keys)

    def _put(self, key: str, text: str, kind: str = "application/json") -> None:
        self._client().put_object(Bucket=self._bucket, Key=PREFIX + key, Body=text.encode(), ContentType=kind)

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
