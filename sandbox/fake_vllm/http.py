"""HTTP/1.1 on asyncio streams for the fake vLLM, so that a host needs no further package."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

LARGEST_BODY = 32 << 20
PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
}


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case, and `path` is without the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """One answer: a whole body, or a stream of pieces."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    stream: AsyncGenerator[bytes, None] | None = None


Application = Callable[[Request], Awaitable[Response]]


def as_json(value: object, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(status, json.dumps(value).encode())


async def serve_connection(
    application: Application, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep_alive: float = 5.0
) -> None:
    """Answer the requests of one connection until it closes, or for `keep_alive` idle seconds."""
    try:
        # uvicorn, the server of the real vLLM, also closes an idle connection after a while.
        while (request := await asyncio.wait_for(read_request(reader), keep_alive)) is not None:
            await write(await application(request), writer)
            if request.headers.get("connection", "").lower() == "close":
                break
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client is gone, or its bytes were not HTTP
    finally:
        writer.close()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None if the client is done. Raises ValueError for bytes that are not HTTP."""
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await read_chunks(reader)
    else:
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= LARGEST_BODY:
            raise ValueError("body too large")
        body = await reader.readexactly(length)
    return Request(method, target.partition("?")[0], headers, body)


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a body that comes in chunks."""
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
        if len(body) > LARGEST_BODY:
            raise ValueError("body too large")
    await reader.readline()
    return body


async def write(response: Response, writer: asyncio.StreamWriter) -> None:
    """Write one answer; a stream goes out in chunks as its pieces come."""
    length = "transfer-encoding: chunked" if response.stream else f"content-length: {len(response.body)}"
    phrase = PHRASES.get(response.status, "Status")
    head = (
        f"HTTP/1.1 {response.status} {phrase}\r\nserver: uvicorn\r\ncontent-type: {response.kind}\r\n{length}\r\n\r\n"
    )
    writer.write(head.encode() + response.body)
    if response.stream:
        # Closed at once if the client has gone: a request without a reader is over, and vLLM's gauge says so.
        async with contextlib.aclosing(response.stream) as pieces:
            async for piece in pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()
