"""Carries TCP connections from a port to one of two places, and lets clients change over between two requests."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.services.ports import LOOPBACK

CHUNK = 262_144
IDLE_SECONDS = 0.02  # time without a byte since the last answer
CHANGE_SECONDS = 0.5
REFUSED_SECONDS = 1.0  # time for a client to end a refused connection


@dataclass(eq=False)
class _Link:
    writer: asyncio.StreamWriter
    target: int
    answered: bool = False
    begun: bool = False
    moved_at: float = 0.0


class Relay:
    """Listens on bound sockets of loopback. `choose` returns the current target port for a listening port.

    One event loop in a thread carries all bytes. Bytes do not show where a request ends. So a connection counts as
    idle if its last bytes came from the server and 20 ms have passed. `refuse` gets the first bytes that a client
    sends at the start and after each answer. It may return whole bytes that answer in the server's place.
    """

    def __init__(
        self,
        bound: list[socket.socket],
        choose: Callable[[int], int],
        refuse: Callable[[bytes], bytes | None] = lambda _: None,
    ) -> None:
        self._choose = choose
        self._refuse = refuse
        self._links: set[_Link] = set()
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="store relay", daemon=True)
        self._thread.start()
        self._changing: asyncio.Task[None] | None = None
        asyncio.run_coroutine_threadsafe(self._listen(bound), self._loop).result()

    def change(self) -> None:
        """Ask `choose` again. This closes idle connections with another target before it returns, and busy ones as
        they become idle.

        Clients then open new connections.
        """
        begun = threading.Event()

        async def begin() -> None:
            if self._changing is None or self._changing.done():
                self._changing = asyncio.create_task(self._change())
            await asyncio.wait([self._changing], timeout=CHANGE_SECONDS)
            begun.set()

        asyncio.run_coroutine_threadsafe(begin(), self._loop)
        begun.wait(CHANGE_SECONDS * 4)

    def stop(self) -> None:
        """Close every connection and port, and end the thread."""

        async def end() -> None:
            for server in self._servers:
                server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, bound: list[socket.socket]) -> None:
        for one in bound:
            self._servers.append(await asyncio.start_server(self._carry, sock=one, backlog=256))

    async def _change(self) -> None:
        while elsewhere := [link for link in self._links if link.target != self._wanted(link)]:
            now = self._loop.time()
            for link in elsewhere:
                if link.answered and now - link.moved_at > IDLE_SECONDS:
                    link.writer.close()
                    self._links.discard(link)
            await asyncio.sleep(IDLE_SECONDS / 2)

    def _wanted(self, link: _Link) -> int:
        return self._choose(int(link.writer.get_extra_info("sockname")[1]))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, 0)
        link.target = self._wanted(link)
        self._links.add(link)
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, link.target, limit=CHUNK)
            with contextlib.closing(far_writer):
                up = asyncio.create_task(self._pump(reader, far_writer, link, answers=False))
                down = asyncio.create_task(self._pump(far_reader, writer, link, answers=True))
                # The connection is over when the server has sent its last byte; the client's last may be long ago.
                try:
                    await down
                finally:
                    up.cancel()
                    await asyncio.gather(up, return_exceptions=True)
        except OSError:
            writer.transport.abort()
        finally:
            self._links.discard(link)
            writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, *, answers: bool
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                if not answers and (link.answered or not link.begun) and (refusal := self._refuse(data)):
                    await self._answer(reader, link, refusal)
                    writer.transport.abort()  # the relay carries no more bytes
                    return
                link.answered, link.moved_at, link.begun = answers, self._loop.time(), True
                writer.write(data)
                await writer.drain()
                link.moved_at = self._loop.time()
        except OSError:
            writer.transport.abort()  # this also ends the other direction
            raise
        if not answers and writer.can_write_eof():
            writer.write_eof()

    async def _answer(self, reader: asyncio.StreamReader, link: _Link, refusal: bytes) -> None:
        """Send a refusal, then read the client's remaining bytes: an earlier close would lose the answer."""
        link.writer.write(refusal)
        await link.writer.drain()
        link.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFUSED_SECONDS):
                while await reader.read(CHUNK):
                    pass
