"""Outputs of before are registered as the engine hands them out; an engine that cannot leaves everything as it is."""

from typing import Any

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2

from components.kept_outputs import register_again

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "token"}


class Monitor:
    def __init__(self, outputs: dict[str, Any] | None) -> None:
        self.outputs = outputs
        self.registered: list[Any] = []

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        assert dict(request.args) == {"name": "organization/gpu-fleet/dev"}
        if self.outputs is None:
            raise grpc.RpcError("no backend client is available")
        answer = struct_pb2.Struct()
        answer.update({"outputs": self.outputs})
        return provider_pb2.InvokeResponse(**{"return": answer})

    def RegisterResourceOutputs(self, request: Any) -> None:  # noqa: N802
        self.registered.append((request.urn, request.outputs))


def register(monitor: Monitor) -> bool:
    return register_again(monitor, "urn:stack", "organization/gpu-fleet/dev")


def test_outputs_of_before_are_registered_with_their_secrets() -> None:
    monitor = Monitor({"endpoints": {"chat-0": "https://x"}, "tokens": SECRET})

    assert register(monitor)

    ((urn, outputs),) = monitor.registered
    assert urn == "urn:stack"
    assert dict(outputs["tokens"]) == SECRET
    assert dict(outputs["endpoints"]) == {"chat-0": "https://x"}


def test_a_stack_without_outputs_and_an_engine_that_cannot_are_left_as_they_are() -> None:
    for monitor in (Monitor({}), Monitor(None)):
        assert not register(monitor)
        assert monitor.registered == []
