"""Hosts that answer a controller's looks over real SSH: one port on many addresses of loopback, one address a host.

`gates/<address>` is a host: its files are `open`, `left` (a controller closed the gate) and `in_flight`. A host without one
of these folders refuses. No process is started for a look, so that one machine carries fifty hosts.
"""

import contextlib
import io
import json
import re
import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from sandbox.hosts.sshd import HostKey

LOOK_SECONDS = 0.2
MARK = re.compile(rb"printf '\\n%s<' (\w+)")
ACT = re.compile(rb'"act": "(look|close|open)"')
AT_ONCE = 16


@dataclass(frozen=True)
class Logins:
    """The port, the fingerprint of all hosts' key, and the key that is let in (OpenSSH text)."""

    port: int
    host_key: str
    private_key: str = field(repr=False)


class Host(paramiko.ServerInterface):
    """One connection. It knows the one command that a controller runs."""

    def __init__(self, gate: Path, admitted: paramiko.PKey, pool: ThreadPoolExecutor) -> None:
        self._gate, self._admitted, self._pool = gate, admitted, pool

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL if key == self._admitted else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._pool.submit(self._answer, channel, command)
        return True

    def _answer(self, channel: paramiko.Channel, command: bytes) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException), contextlib.closing(channel):
            asked = b""
            while data := channel.recv(65536):
                asked += data
            mark, act = MARK.search(command.replace(b"'\"'\"'", b"'")), ACT.search(asked)
            if mark is None or act is None or not self._gate.is_dir():
                channel.send_exit_status(1)
                return
            told = json.dumps(looked(self._gate, act[1].decode())).encode()
            channel.sendall(b"\n" + mark[1] + b"<" + told + b">" + mark[1] + b"\n")
            channel.send_exit_status(0)


def looked(gate: Path, act: str) -> dict[str, Any]:
    """Close or open a gate, or only look, as slot_gate.py does."""
    opened, left, busy = gate / "open", gate / "left", gate / "in_flight"
    if act == "close" and opened.exists():
        left.touch()
        opened.unlink(missing_ok=True)
    if act == "open" and left.exists():
        opened.touch()
        left.unlink(missing_ok=True)
    requests = int(busy.read_text()) if busy.exists() else 0
    idle = 0.0 if requests else 1e6
    told = {"in_flight": requests, "engine": 0, "admitted": "1-1-1", "idle": idle, "ending": ""}
    return {"gate": "open" if opened.exists() else "closed", **told}


@contextlib.contextmanager
def running_logins(gates: Path, addresses: Sequence[str]) -> Iterator[Logins]:
    """Serve SSH on one free port of all addresses until the block ends."""
    paramiko.util.get_logger("paramiko").setLevel("CRITICAL")  # of connections that a killed controller leaves
    host, client = HostKey.new(), HostKey.new()
    host_key = paramiko.Ed25519Key.from_private_key(io.StringIO(host.private))
    admitted = paramiko.Ed25519Key.from_private_key(io.StringIO(client.private))
    listening = [socket.create_server((addresses[0], 0), backlog=128)]
    port = listening[0].getsockname()[1]
    listening += [socket.create_server((address, port), backlog=128) for address in addresses[1:]]
    over, pool = threading.Event(), ThreadPoolExecutor(AT_ONCE, thread_name_prefix="played-host")
    transports: list[paramiko.Transport] = []

    def welcome(connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(host_key)
        transports.append(transport)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            transport.start_server(server=Host(gates / connection.getsockname()[0], admitted, pool))

    def accept() -> None:
        with selectors.DefaultSelector() as selector:
            for one in listening:
                selector.register(one, selectors.EVENT_READ)
            while not over.is_set():
                for key, _events in selector.select(LOOK_SECONDS):
                    connection, _peer = key.fileobj.accept()  # type: ignore[union-attr]
                    pool.submit(welcome, connection)

    thread = threading.Thread(target=accept, name="logins", daemon=True)
    thread.start()
    try:
        yield Logins(port, host.fingerprint, client.private)
    finally:
        over.set()
        thread.join()
        for one in listening:
            one.close()
        for transport in transports:
            transport.close()
        pool.shutdown(wait=False, cancel_futures=True)
