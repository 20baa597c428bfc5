"""Keeps the stack's outputs during an update, so that an update that ends early removes none of them.

Pulumi registers a program's outputs at its end. If a failure or Ctrl-C prevents that, the command shows all of them as
removed, though the endpoints answer. So the program first registers the outputs of the last update, and the new ones last.
"""

import asyncio
from contextlib import suppress
from typing import Any

import grpc
import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2

READ = "pulumi:pulumi:readStackOutputs"


def keep_outputs() -> pulumi.Output[bool]:
    """Register the outputs of the last update. The result is known once the engine has them; exports wait for it."""
    root = pulumi.runtime.get_root_resource()
    if root is None:
        return pulumi.Output.from_input(False)
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    return root.urn.apply(lambda urn: _registered(urn, name))


async def _registered(urn: str, name: str) -> bool:
    return await asyncio.get_running_loop().run_in_executor(None, register_again, settings.get_monitor(), urn, name)


def register_again(monitor: Any, urn: str, name: str) -> bool:
    """Read a stack's outputs from the engine by its full name, and register them unchanged, secrets included.

    Return False without any change if the engine supports neither call.
    """
    with suppress(grpc.RpcError, KeyError, ValueError):
        arguments = struct_pb2.Struct()
        arguments["name"] = name
        answer = monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok=READ, args=arguments))
        outputs = getattr(answer, "return")["outputs"]
        if len(outputs):
            monitor.RegisterResourceOutputs(resource_pb2.RegisterResourceOutputsRequest(urn=urn, outputs=outputs))
            return True
    return False
