"""Server-sent events about one claim, until all its instances serve or it has ended."""

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator

from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from controller.api.bodies import public
from controller.api.claim_service import ClaimService, phase
from controller.api.errors import as_api_error
from controller.offers import Client
from controller.progress import Status
from controller.store.errors import StoreDown
from controller.store.store import Store

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 5.0  # an expiry writes nothing, so the store tells the bell nothing of it
WATCH_SECONDS = 30.0
AGAIN_SECONDS = 1.0  # after PostgreSQL did not answer


class Bell:
    """One thread watches the store and wakes every stream of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stopped = threading.Event()
        self._rings: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End within a second or so of the current wait; the thread keeps no process alive."""
        self._stopped.set()

    @property
    def listeners(self) -> int:
        """Return how many streams are open."""
        with self._lock:
            return len(self._rings)

    @contextlib.contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """Yield an event of the running loop that is set at every change."""
        ring = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._rings.add(ring)
        try:
            yield ring[1]
        finally:
            with self._lock:
                self._rings.discard(ring)

    def _run(self) -> None:
        watch = self._store.watch()
        while not self._stopped.is_set():
            try:
                if not watch.wait(WATCH_SECONDS):
                    continue
            except StoreDown:
                self._stopped.wait(AGAIN_SECONDS)
            self._ring()
        watch.close()

    def _ring(self) -> None:
        with self._lock:
            rings = tuple(self._rings)
        for loop, event in rings:
            with contextlib.suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(event.set)


async def stream(
    service: ClaimService, bell: Bell, client: Client, id_: str, after: int
) -> AsyncIterator[ServerSentEvent]:
    """Yield `phase` for each step behind the event `after`, `status` for each change, at last `ready` or `ended`.

    If the controller cannot go on, `error` ends the stream; a client that comes back with Last-Event-ID misses nothing.
    """
    sent: dict[str, object] = {}
    with bell.heard() as changed:
        while True:
            changed.clear()
            try:
                answer, events = await run_in_threadpool(service.follow, client, id_, after)
            except Exception as error:
                shown = as_api_error(error)
                if shown.status == 500:
                    LOG.exception("the stream of %s failed", id_)
                yield ServerSentEvent(json.dumps(shown.body), event="error")
                return
            for event in events:
                after = event.id
                yield ServerSentEvent(phase(event).model_dump_json(), event="phase", id=str(after))
            body = public(answer)
            if answer.status != Status.PROVISIONING.value:
                yield ServerSentEvent(json.dumps(body), event=answer.status)
                return
            seen = {name: value for name, value in body.items() if name != "seconds_to_expect"}
            if seen != sent:
                sent = seen
                yield ServerSentEvent(json.dumps(body), event="status")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), LOOK_SECONDS)
