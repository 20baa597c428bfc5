"""Clients of one endpoint, and what became of each of their requests.

    load = Load("https://127.0.0.1:8443", token, ca, seed=1)
    load.start()
    ...
    load.stop()                 # what is under way comes to its end
    cut(load.sent, spans, kills)

The clients send short requests over one kept connection and over fresh ones, streams by HTTP/1.1, many streams over one
HTTP/2 connection, and streams that they leave half way, by HTTP/2 over connections of their own. They come in bursts, with
silence in between. A refusal makes them come again.
"""

import asyncio
import json
import math
import random
import ssl
import threading
import time
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

CLOSED = '{"error":"closed"}'  # the gate's answer before it admits a request
WORDS = 12
BURST_SECONDS, CALM_SECONDS = (0.5, 3.0), (0.5, 5.0)
PAUSE_SECONDS, LEAVES_AFTER_SECONDS = (0.0, 0.4), (0.01, 0.6)
PATIENCE_SECONDS = 60.0
KINDS = ("kept", "fresh", "stream", "http2", "http2", "left", "left-http2")
# A client that leaves while httpcore writes loses a part of the connection's TLS stream, so the gate ends that connection
# with all other streams on it (seen without any end of a host, 2 of 421 streams). So such a client shares none.
FRESH = ("fresh", "left-http2")

Span = tuple[float, float]


@dataclass
class Sent:
    """One request, and its end. Moments are of this process's monotonic clock."""

    kind: str
    streams: bool
    at: float
    ended: float = math.inf
    status: int | None = None
    body: str = ""
    complete: bool = False  # the answer came to the end that HTTP names
    left: bool = False  # its client left it
    trouble: str = ""

    @property
    def served(self) -> bool:
        """Whether the answer is a whole one."""
        if self.status != 200 or not self.complete:
            return False
        return self.body.rstrip().endswith("data: [DONE]") if self.streams else bool(_object(self.body).get("choices"))

    @property
    def refused(self) -> bool:
        """Whether the gate said that it is closed. If its host ends meanwhile, these words may break off: nothing is cut."""
        return self.status == 503 and (self.body == CLOSED or (not self.complete and CLOSED.startswith(self.body)))


@dataclass
class Load:
    """The clients of one endpoint, in a thread. `calm`: there are times without any request."""

    url: str
    token: str = field(repr=False)
    ca: str = field(repr=False)
    seed: int = 0
    calm: bool = True
    sent: list[Sent] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "load"))
    _played: "Future[None] | None" = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._played = self._pool.submit(lambda: asyncio.run(self._play()))

    def stop(self) -> None:
        """End when every request that was sent has ended. Raises what ended the clients before."""
        self._over.set()
        assert self._played is not None
        self._played.result(PATIENCE_SECONDS)
        self._pool.shutdown()

    async def _play(self) -> None:
        chance = random.Random(self.seed)
        trusted = ssl.create_default_context(cadata=self.ca)
        named: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {self.token}"},
            "verify": trusted,
            "trust_env": False,
            "timeout": PATIENCE_SECONDS,
        }
        self._busy = asyncio.Event()
        async with httpx.AsyncClient(**named) as plain, httpx.AsyncClient(**named, http1=False, http2=True) as two:
            clients: list[Coroutine[Any, Any, None]] = []
            for number, kind in enumerate(KINDS):
                own = random.Random(f"{self.seed} {number}")
                client = two if "http2" in kind else plain
                once = named | {"http1": False, "http2": True} if "http2" in kind else named
                clients.append(self._client(own, kind, client, once if kind in FRESH else None))
            weather = asyncio.create_task(self._weather(chance))
            await asyncio.gather(*clients)
            weather.cancel()

    async def _weather(self, chance: random.Random) -> None:
        while True:
            self._busy.set()
            await asyncio.sleep(chance.uniform(*BURST_SECONDS))
            if self.calm:
                self._busy.clear()
                await asyncio.sleep(chance.uniform(*CALM_SECONDS))

    async def _client(
        self, chance: random.Random, kind: str, client: httpx.AsyncClient, fresh: dict[str, Any] | None
    ) -> None:
        while not self._over.is_set():
            if not self._busy.is_set():
                await asyncio.sleep(0.02)
                continue
            sent = Sent(kind, streams=kind not in ("kept", "fresh"), at=time.monotonic())
            self.sent.append(sent)
            leaves = chance.uniform(*LEAVES_AFTER_SECONDS) if "left" in kind else None
            try:
                async with asyncio.timeout(leaves):
                    if fresh is None:
                        await ask(client, sent)
                    else:
                        async with httpx.AsyncClient(**fresh) as once:
                            await ask(once, sent)
            except TimeoutError:
                sent.left = True
            sent.ended = time.monotonic()
            await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))


async def ask(client: httpx.AsyncClient, sent: Sent) -> None:
    """Send a request and note its answer, as far as it comes."""
    body = {"model": "tiny", "prompt": f"say {sent.kind}", "max_tokens": WORDS, "stream": sent.streams}
    sent.at = time.monotonic()
    try:
        async with client.stream("POST", "/v1/completions", json=body) as answer:
            sent.status = answer.status_code
            async for text in answer.aiter_text():
                sent.body += text
        sent.complete = True
    except Exception as error:  # noqa: BLE001 -- also those of libraries below httpx, whose texts it does not translate
        sent.trouble = f"{type(error).__name__} {error}"


def cut(sent: Iterable[Sent], spans: Sequence[Span], kills: Sequence[Span]) -> list[Sent]:
    """Return the requests that somebody cut. `spans`: when the gate may have been open; `kills`: when the host ended.

    A request is whole, was refused by a closed gate, or its client left it. One that got no answer at all was cut if it was
    sent while the gate may have been open, and was under way at an end. Otherwise the host was gone already; or its client
    sent it over a kept connection that had died with an earlier end, and no host saw it.
    """
    found = []
    for one in sent:
        if one.served or one.refused or one.left:
            continue
        if one.status is None:
            in_time = any(begin <= one.at <= end for begin, end in spans)
            under_way = one.kind in FRESH or any(one.at <= end and begin <= one.ended for begin, end in kills)
            if not (in_time and under_way):
                continue
        found.append(one)
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
