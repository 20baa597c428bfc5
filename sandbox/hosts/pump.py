"""Moves bytes between two sockets and plays the faults of a network path."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field

CHUNK = 65536
SLICE_SECONDS = 0.05


@dataclass
class Way:
    """One direction of a host's line, shared by all its connections. `bytes_per_second` None is unlimited.

    `carried` counts the bytes so far, which the market bills.
    """

    bytes_per_second: float | None = None
    carried: int = 0
    _free_at: float = field(default=0.0, repr=False)

    def chunk(self) -> int:
        """Return the bytes to read at once, so that a slow line trickles instead of coming in gulps."""
        rate = self.bytes_per_second
        return CHUNK if rate is None else max(1024, min(CHUNK, int(rate * SLICE_SECONDS)))

    def seconds_for(self, size: int, now: float) -> float:
        """Book `size` bytes on the line and return the seconds from `now` until the line is free."""
        if self.bytes_per_second is None:
            return 0.0
        self._free_at = max(self._free_at, now) + size / self.bytes_per_second
        return self._free_at - now


@dataclass
class Line:
    """A host's connection to the world. A changed field also affects open connections.

    `blackhole` holds every byte back. `cut_after` cuts a connection after that many bytes from the host,
    `cut_download_after` after that many bytes to it. After `dead_after` bytes to the host on one connection, every
    connection becomes a black hole.
    """

    to_host: Way = field(default_factory=Way)
    from_host: Way = field(default_factory=Way)
    blackhole: bool = False
    cut_after: int | None = None
    cut_download_after: int | None = None
    dead_after: int | None = None


async def carry(inner: socket.socket, outer: socket.socket, line: Line) -> None:
    """Carry bytes both ways between a host's socket and the machine's until both sides are done.

    Raises OSError if either side breaks the connection.
    """
    pumps = [
        asyncio.ensure_future(_pump(outer, inner, line, line.to_host)),
        asyncio.ensure_future(_pump(inner, outer, line, line.from_host)),
    ]
    try:
        await asyncio.gather(*pumps)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(source: socket.socket, target: socket.socket, line: Line, way: Way) -> None:
    loop = asyncio.get_running_loop()
    carried = 0
    while data := await loop.sock_recv(source, way.chunk()):
        while line.blackhole:
            await asyncio.sleep(SLICE_SECONDS)
        await loop.sock_sendall(target, data)
        carried += len(data)
        way.carried += len(data)
        downwards = way is line.to_host
        if downwards and line.dead_after is not None and carried >= line.dead_after:
            line.blackhole = True
        limit = line.cut_download_after if downwards else line.cut_after
        if limit is not None and carried >= limit:
            raise ConnectionResetError("cut by a fault")
        busy = way.seconds_for(len(data), loop.time())
        if busy > SLICE_SECONDS / 10:
            await asyncio.sleep(busy)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
