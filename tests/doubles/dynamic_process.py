"""The provider process that the engine would start, driven over gRPC as the engine drives it.

What calling a provider class directly does not show, this does: the class is pickled and found again, numbers arrive as
floats, keys with None have vanished, credentials come as secrets in Configure, and what is returned must serialise.

    with DynamicProcess(BucketProvider()) as process:
        process.configure({"storeAccessKey": "sandbox"})
        id_, outs = process.create({...})
"""

import os
import queue
import select
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import PROVIDER_KEY, serialize_provider
from pulumi.runtime.proto import provider_pb2 as messages
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "gpu-fleet"
START_SECONDS = 200.0  # patient, for a machine under load; nothing waits for it to pass
# Pulumi's own signature of a secret on the wire.
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


class ProviderError(Exception):
    """The provider raised; the text is what the operator would read."""


@dataclass(frozen=True)
class Checked:
    """What check made of the inputs; `failures` maps property to reason."""

    inputs: dict[str, Any]
    failures: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """What diff decided. `changes` is None where the provider left the engine to find out."""

    changes: bool | None
    replaces: list[str]
    delete_before_replace: bool


@dataclass(frozen=True)
class Seen:
    """What read found; an empty id means that the resource is gone."""

    id: str
    outs: dict[str, Any]
    inputs: dict[str, Any]


class DynamicProcess:
    """`python -u -m pulumi.dynamic ENGINE` in the project's folder, for one provider. It dies with this process.

    `engine` is the address that the provider is told; by default one where this process
    listens, as an engine would. `host`: a program of Python that runs the module. `calls` may come from several
    threads. Every call raises ProviderError with the provider's own words, and after `timeout` seconds.
    """

    def __init__(
        self,
        provider: ResourceProvider,
        engine: str | None = None,
        environment: dict[str, str] | None = None,
        timeout: float = 250.0,
        host: Path | None = None,
    ) -> None:
        self._pickled = serialize_provider(provider)
        self._home = tempfile.TemporaryDirectory()
        self._engine = socket.create_server(("127.0.0.1", 0))
        engine = engine or f"127.0.0.1:{self._engine.getsockname()[1]}"
        self._timeout = timeout
        self._written = b""
        self._arrived = threading.Condition()
        self._port: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [
                # A shell starts what runs in its background with SIGINT ignored.
                *("env", "--default-signal=INT", "setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-u"),
                *([str(host)] if host else []),
                *("-m", "pulumi.dynamic", engine),
            ],
            cwd=ROOT,
            env={**os.environ, "PULUMI_PROJECT": PROJECT, "XDG_STATE_HOME": self._home.name, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self._pipe = self.process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()
        port = self._wait_for_port()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = ResourceProviderStub(self._channel)

    def __enter__(self) -> "DynamicProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, at once."""
        if channel := getattr(self, "_channel", None):
            channel.close()
        self.process.kill()
        self.process.wait()
        self._engine.close()
        self._reader.join()
        self._pipe.close()
        self._home.cleanup()

    @property
    def output(self) -> str:
        """Return what the provider has printed until now; the engine would show it. The line with the port is left out."""
        self._take()
        return self._written.decode(errors="replace").partition("\n")[2]

    def says(self, text: str, seconds: float = 60.0) -> bool:
        """Say whether the provider prints `text`, and wait for it."""
        with self._arrived:
            return self._arrived.wait_for(lambda: text in self.output, seconds)

    def configure(self, config: dict[str, str]) -> None:
        """Send the provider's args, all of them as secrets; keys without a namespace get the project's."""
        args = {
            key if ":" in key else f"{PROJECT}:{key}": {SIGNATURE: SECRET, "value": value}
            for key, value in config.items()
        }
        self._call(self._stub.Configure, messages.ConfigureRequest(args=_struct(args), acceptSecrets=True))

    def check(self, news: dict[str, Any], olds: dict[str, Any] | None = None) -> Checked:
        """Check the inputs that a program gives; `olds` are the inputs of before, None for a resource still to be made."""
        request = messages.CheckRequest(olds=None if olds is None else self._props(olds), news=self._props(news))
        answer = self._call(self._stub.Check, request)
        return Checked(_dict(answer.inputs), {failure.property: failure.reason for failure in answer.failures})

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> Difference:
        """Compare the outputs in state with new inputs."""
        answer = self._call(
            self._stub.Diff, messages.DiffRequest(id=id_, olds=self._props(olds), news=self._props(news))
        )
        known = {messages.DiffResponse.DIFF_SOME: True, messages.DiffResponse.DIFF_NONE: False}
        return Difference(known.get(answer.changes), list(answer.replaces), answer.deleteBeforeReplace)

    def create(self, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Create, and return id and outputs."""
        answer = self._call(self._stub.Create, messages.CreateRequest(properties=self._props(props)))
        return answer.id, _dict(answer.properties)

    def read(self, id_: str, outs: dict[str, Any]) -> Seen:
        """Refresh."""
        answer = self._call(self._stub.Read, messages.ReadRequest(id=id_, properties=self._props(outs)))
        return Seen(answer.id, _dict(answer.properties), _dict(answer.inputs))

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Update in place, and return the new outputs."""
        request = messages.UpdateRequest(id=id_, olds=self._props(olds), news=self._props(news))
        return _dict(self._call(self._stub.Update, request).properties)

    def delete(self, id_: str, outs: dict[str, Any]) -> None:
        """Delete."""
        self._call(self._stub.Delete, messages.DeleteRequest(id=id_, properties=self._props(outs)))

    def cancel(self) -> None:
        """Say that the operator has pressed Ctrl-C."""
        self._call(self._stub.Cancel, Empty())

    def _wait_for_port(self) -> str:
        try:
            port = self._port.get(timeout=START_SECONDS)
        except queue.Empty:
            port = "no line on stdout"
        if not port.isdigit():
            self.close()
            raise RuntimeError(f"the provider process did not start: {port} {self.output}")
        return port

    def _props(self, values: dict[str, Any]) -> Struct:
        return _struct({**values, PROVIDER_KEY: self._pickled})

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout, wait_for_ready=True)
        except grpc.RpcError as error:
            raise ProviderError(error.details()) from None

    def _read_output(self) -> None:
        has_port = False
        while True:
            select.select([self._pipe], [], [])
            goes_on = self._take()
            if not has_port and (b"\n" in self._written or not goes_on):
                self._port.put(self._written.decode(errors="replace").partition("\n")[0].strip())
                has_port = True
            if not goes_on:
                return

    def _take(self) -> bool:
        """Take what lies in the pipe; False once the process and its children have closed it.

        Whoever asks for the output takes it itself: what was printed before a call returned is there after the call.
        """
        with self._arrived:
            while not self._pipe.closed:
                try:
                    part = os.read(self._pipe.fileno(), 65536)
                except BlockingIOError:
                    return True
                if not part:
                    break
                self._written += part
                self._arrived.notify_all()
            return False


def _struct(values: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(_without_none(values))
    return struct


def _without_none(value: Any) -> Any:
    """Drop keys with None, as the program's side of the SDK does before the engine sees them."""
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_none(each) for each in value]
    return value


def _dict(struct: Struct) -> dict[str, Any]:
    return {key: _value(value) for key, value in struct.fields.items() if key != PROVIDER_KEY}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _value(each) for key, each in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_value(each) for each in value.list_value.values]
    return None if kind == "null_value" else getattr(value, kind)
