"""The program of a slot: one VastInstance under the main stack's id, made from the main stack's output `elastic`.

It reads the output by the call that a StackReference makes, without the resource of one. That resource would keep a copy of
all the main stack's secrets in the state of each slot.
"""

from collections.abc import Mapping
from typing import Any

import grpc
import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime import rpc, settings
from pulumi.runtime.proto import resource_pb2

from components.kept_outputs import READ, keep_outputs
from components.provider_pool import ProviderPool
from components.sealing import sealed
from config.secret_leaves import SecretLeaves
from config.slot_names import SlotName
from providers.elastic import slot_output
from providers.elastic.applied import NAME, Applied, AppliedFleet, UnreadableOutputError, parse
from providers.rentals.resource import Rentals
from providers.vast.api.label import Label
from providers.vast.resource import VastInstance

SECRET_ACCESS = frozenset({"sshPrivateKey", "caKey", "token", "metricsKey"})


def make_slot(slot: SlotName) -> None:
    """Declare the stack of a slot and export its secret output `slot`. Raises pulumi.RunError."""
    main = f"{pulumi.get_organization()}/{pulumi.get_project()}/{slot.stack}"
    applied = read_main(settings.get_monitor(), main)
    fleet = applied.fleets.get(slot.fleet)
    if fleet is None:
        why = applied.unreadable.get(f"fleets.{slot.fleet}", "the stack has no such elastic fleet")
        raise pulumi.RunError(
            f"fleet {slot.fleet} of the main stack {main} cannot be used: {why}. Run `pulumi up --stack {slot.stack}`, or "
            f"end this slot: pulumi destroy --stack {slot.own}"
        )
    kept = keep_outputs()
    keys = {key: pulumi.Output.secret(value.get_secret_value()) for key, value in applied.keys.items()}
    pool = ProviderPool(pulumi.get_project(), keys)
    inputs = instance_of(applied, fleet, slot, main)
    store = fleet.instance.get("store") or {}
    place = {"endpoint": store.get("ownEndpoint"), "region": store.get("region"), "bucket": store.get("bucket")}
    rented = {
        "market": fleet.instance.get("market"),
        "stackId": applied.stack_id,
        "stack": f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}",
        "store": place,
        "instance": slot.instance,
    }
    rentals = Rentals("rentals", rented, pulumi.ResourceOptions(provider=pool.common()))
    options = pulumi.ResourceOptions(provider=pool.for_instance(), depends_on=[rentals])
    instance = VastInstance(slot.instance, inputs, options)
    output = pulumi.Output.all(
        kept=kept,
        endpoint=instance.endpoint,
        ssh=instance.ssh,
        host_key=instance.hostKey,
        instance_id=instance.instanceId,
        charged=instance.chargedUsdPerHour,
        price=instance.usdPerHour,
    ).apply(lambda found: slot_output.written(slot.instance, fleet.digest, found))
    pulumi.export(slot_output.NAME, pulumi.Output.secret(output))
    pulumi.export(slot_output.DIGEST, pulumi.Output.unsecret(output.apply(lambda found: found["digest"])))


def instance_of(applied: Applied, fleet: AppliedFleet, slot: SlotName, main: str) -> dict[str, Any]:
    """Return the inputs of the slot's instance, with every secret among them marked."""
    name = slot.instance
    access = {**(fleet.instance.get("access") or {}), "token": applied.token(name)}
    plain = {key: value for key, value in fleet.instance.items() if key not in ("access", "registry", "secrets")}
    leaves = SecretLeaves(values=frozenset(map(str, fleet.instance.get("secrets") or ())))
    inputs: dict[str, Any] = dict(sealed(plain, leaves))
    if budget := applied.budget.input_of(applied.fleets.keys()):
        inputs["budget"] = budget
    inputs |= {"name": name, "label": str(Label(applied.stack_id, name)), "turn": slot.index, "mainStack": main}
    inputs["access"] = {
        key: pulumi.Output.secret(value) if key in SECRET_ACCESS else value for key, value in access.items()
    }
    for key in ("registry", "secrets"):
        if key in fleet.instance:
            inputs[key] = pulumi.Output.secret(fleet.instance[key])
    return inputs


def read_main(monitor: Any, stack: str) -> Applied:
    """Read the output `elastic` of the main stack by its full name. Raises pulumi.RunError."""
    arguments = struct_pb2.Struct()
    arguments["name"] = stack
    try:
        answer = monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok=READ, args=arguments))
    except grpc.RpcError as error:
        raise pulumi.RunError(f"the main stack {stack} cannot be read: {error.details()}") from None
    outputs = _plain(rpc.deserialize_properties(getattr(answer, "return")).get("outputs")) or {}
    try:
        return parse(outputs.get(NAME))
    except UnreadableOutputError as error:
        raise pulumi.RunError(
            f"the main stack {stack}: {error}. Run `pulumi up --stack {stack}`, then again."
        ) from None


def _plain(value: Any) -> Any:
    """Return a value of an output without the marks of secrets."""
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
