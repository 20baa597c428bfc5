"""Carries TCP between the machine and hosts in one event loop, and plays faults on the way."""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from sandbox.hosts.pump import SLICE_SECONDS, Line, carry
from sandbox.hosts.spec import HostsError

LOOPBACK = "127.0.0.1"
BACKLOG = 256
DIALLERS = 32
DIAL_SECONDS = 10.0
RESET = struct.pack("ii", 1, 0)

Result = TypeVar("Result")
# Returns connect's error number and the socket under connection; blocking, run in an executor.
Dial = Callable[[], tuple[int, socket.socket]]


@dataclass
class Listener:
    """One listening socket and its open connections."""

    server: socket.socket
    dial: Dial
    line: Line
    host_dialled: bool
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    accepting: "asyncio.Task[None] | None" = None


class Forwarder:
    """Runs the event loop of every listener of the emulator. Any thread may call any method."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # Many threads, because a host with a hanging first process keeps a dial waiting.
        self._loop.set_default_executor(ThreadPoolExecutor(DIALLERS, "host dialler"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="host forwarder", daemon=True)
        self._thread.start()

    def serve(self, server: socket.socket, dial: Dial, line: Line, *, host_dialled: bool) -> Listener:
        """Forward each connection on a listening socket to the one that `dial` opens.

        With `host_dialled`, the host opens the connections and `dial` leads to the machine.
        """
        server.setblocking(False)
        listener = Listener(server, dial, line, host_dialled)

        async def begin() -> None:
            listener.accepting = asyncio.create_task(self._accept(listener))

        self._wait(begin())
        return listener

    def close(self, listener: Listener) -> None:
        """Stop listening and cut the open connections."""

        async def end() -> None:
            tasks = [*listener.tasks, *([listener.accepting] if listener.accepting else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            listener.server.close()

        self._wait(end())

    def stop(self) -> None:
        """End the loop and its thread, with the connections of open listeners."""

        async def end() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._wait(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _accept(self, listener: Listener) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(listener.server)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                    await asyncio.sleep(SLICE_SECONDS)
                    continue
                return
            task = asyncio.create_task(self._carry(listener, client))
            listener.tasks.add(task)
            task.add_done_callback(listener.tasks.discard)

    async def _carry(self, listener: Listener, client: socket.socket) -> None:
        client.setblocking(False)
        try:
            with contextlib.closing(await self._connect(listener.dial)) as far:
                inner, outer = (client, far) if listener.host_dialled else (far, client)
                await carry(inner, outer, listener.line)
        except (OSError, HostsError):  # refused, timed out, broken off or the host is gone
            reset(client)
        except asyncio.CancelledError:
            reset(client)
            raise
        finally:
            client.close()

    async def _connect(self, dial: Dial) -> socket.socket:
        number, far = await self._loop.run_in_executor(None, dial)
        try:
            far.setblocking(False)
            _demand(number if number != errno.EINPROGRESS else 0)
            await asyncio.wait_for(_writable(self._loop, far), DIAL_SECONDS)
            _demand(far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        except BaseException:
            far.close()
            raise
        return far


def listen(port: int = 0, address: str = LOOPBACK) -> socket.socket:
    """Return a socket that listens, by default on loopback; port 0 chooses a free port."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(BACKLOG)
    return server


def reserve_udp(address: str = LOOPBACK) -> socket.socket:
    """Return a UDP socket on a free port, which reserves the number. Nothing reads the socket."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reserved.bind((address, 0))
    return reserved


def dial_machine(address: str, port: int) -> Dial:
    """Return a dial function for an address of the machine."""

    def dial() -> tuple[int, socket.socket]:
        far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        far.setblocking(False)
        return far.connect_ex((address, port)), far

    return dial


def reset(client: socket.socket) -> None:
    """Close a connection so that the other side sees a reset, as from a port without a listener."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


async def _writable(loop: asyncio.AbstractEventLoop, one: socket.socket) -> None:
    ready = loop.create_future()

    def writable() -> None:
        loop.remove_writer(one)
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(one, writable)
    try:
        await ready
    finally:
        loop.remove_writer(one)


def _demand(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))
