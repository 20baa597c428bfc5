"""A slot's program reads the main stack's secret output from the engine, and says what to do if it cannot."""

from typing import Any

import grpc
import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2

from components.slot import read_main
from tests.providers.elastic.test_applied import OUTPUT

MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


class Refused(grpc.RpcError):  # type: ignore[misc]  # the library has no types
    def details(self) -> str:
        return "unknown stack"


class Monitor:
    def __init__(self, outputs: dict[str, Any] | None) -> None:
        self.outputs = outputs

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        assert dict(request.args) == {"name": "organization/gpu-fleet/dev"}
        if self.outputs is None:
            raise Refused
        answer = struct_pb2.Struct()
        answer.update({"outputs": self.outputs})
        return provider_pb2.InvokeResponse(**{"return": answer})


def read(outputs: dict[str, Any] | None) -> Any:
    return read_main(Monitor(outputs), "organization/gpu-fleet/dev")


def test_the_secret_output_is_unwrapped_and_read() -> None:
    found = read({"elastic": {**MARK, "value": {**OUTPUT, "keys": {"vastApiKey": {**MARK, "value": "a key"}}}}})

    assert found.fleets["burst"].bounds.max == 2
    assert found.keys["vastApiKey"].get_secret_value() == "a key"


@pytest.mark.parametrize(
    ("outputs", "says"), [(None, "unknown stack"), ({}, "is no map"), ({"elastic": {}}, "version")]
)
def test_a_main_stack_that_tells_nothing_is_an_error_with_the_next_command(
    outputs: dict[str, Any] | None, says: str
) -> None:
    with pytest.raises(pulumi.RunError, match=says) as refused:
        read(outputs)

    assert outputs is None or "pulumi up --stack organization/gpu-fleet/dev" in str(refused.value)
