"""Requests exactly as written, over TLS on loopback: client libraries tidy up paths and trailing blanks of headers, which
are just what an attacker would send."""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamEnded, StreamReset

Headers = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Answer:
    """Status and headers, names in lower case; the body is read and dropped. Status 0: the request was refused as such."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RawClient:
    """One connection a request. `http2` chooses the protocol; a gate that does not speak it is an error."""

    port: int
    ca: str
    http2: bool = False

    def ask(self, method: str, target: str, headers: Headers = ()) -> Answer:
        """Send a request without a body."""
        encoded = [(name.encode(), value.encode() if isinstance(value, str) else value) for name, value in headers]
        context = ssl.create_default_context(cadata=self.ca)
        context.set_alpn_protocols(["h2" if self.http2 else "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.selected_alpn_protocol() == ("h2" if self.http2 else "http/1.1")
            return (_ask_2 if self.http2 else _ask_1)(connection, method, target, encoded)


def _ask_1(connection: ssl.SSLSocket, method: str, target: str, headers: list[tuple[bytes, bytes]]) -> Answer:
    lines = [f"{method} {target} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nContent-Length: 0".encode()]
    connection.sendall(b"\r\n".join([*lines, *(name + b": " + value for name, value in headers), b"", b""]))
    reader = connection.makefile("rb")
    status = int(reader.readline().split()[1])
    answered = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        answered[name.lower()] = value.strip()
    return Answer(status, answered)


def _ask_2(connection: ssl.SSLSocket, method: str, target: str, headers: list[tuple[bytes, bytes]]) -> Answer:
    as_written = H2Configuration(normalize_outbound_headers=False, validate_outbound_headers=False)
    http = H2Connection(config=as_written)
    http.initiate_connection()
    pseudo = [(":method", method), (":scheme", "https"), (":authority", "gate"), (":path", target)]
    first = [(name.encode(), value.encode()) for name, value in pseudo]
    http.send_headers(1, [*first, *((name.lower(), value) for name, value in headers)], end_stream=True)
    connection.sendall(http.data_to_send())
    answer = Answer(0)
    while data := connection.recv(65536):
        for event in http.receive_data(data):
            if isinstance(event, ResponseReceived):
                fields = {name.decode(): value.decode("latin-1") for name, value in event.headers or []}
                answer = Answer(int(fields[":status"]), fields)
            if isinstance(event, StreamEnded | StreamReset):
                return answer
        connection.sendall(http.data_to_send())
    return answer
