"""The secret output `elastic` of the main stack, as `providers.elastic.applied`: slots and the controller read it."""

from collections.abc import Mapping
from typing import Any, cast

import pulumi

from bootstrap.gpu_names import all_market_names
from components.fleet import FleetArgs, inputs_of
from components.instance_inputs import FleetParts, slot_inputs
from config.clients import ClientConfig
from config.stack import StackConfig
from providers.elastic.applied import NAME, VERSION, digest_of
from providers.identity.resource import Identity
from providers.identity.tokens import api_key_for

NO_NAME = ""  # in place of an instance's name and token, which each slot has for itself


def export_elastic(
    stack: StackConfig, fleets: list[FleetArgs], identity: Identity, keys: Mapping[str, pulumi.Output[str]]
) -> None:
    """Export the output that slots and controller read. A stack without elastic fleets and clients exports nothing of it.

    `keys`: those of the market and the object store, by their names in stack config.
    """
    elastic = [args for args in fleets if args.fleet.elastic]
    if not (elastic or stack.clients):
        return
    parts = {args.name: fleet_part(args, _instance_of(args)) for args in elastic}
    common = {
        "version": VERSION,
        "stack": pulumi.get_stack(),
        "project": pulumi.get_project(),
        "stackId": identity.stackId,
        "budget": stack.budget.model_dump(by_alias=True, exclude_defaults=True),  # an older controller knows two keys
        "controller": stack.controller.model_dump(by_alias=True, exclude={"kubernetes"}),  # whose variables are keys
        "marketUrl": stack.market.url,
        "tokenSecret": identity.tokenSecret,
        "tokenEpoch": stack.rotation.tokens,
        "sshKey": identity.sshPrivateKey,
        "caCertificate": identity.caCertificate,
        "keys": dict(keys),
    }
    made = pulumi.Output.all(common=common, fleets=parts).apply(
        lambda found: completed(found["common"], found["fleets"], stack.clients)
    )
    pulumi.export(NAME, pulumi.Output.secret(made))


def fleet_part(parts: FleetParts, instance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the output's part about one elastic fleet, without its digest; some values are still the engine's outputs.

    `instance`: the inputs of one of its slots.
    """
    fleet = parts.fleet
    return {
        "bounds": fleet.elastic.model_dump(by_alias=True) if fleet.elastic else {},
        "model": fleet.model,
        "gpus": list(all_market_names(fleet.gpu.name)),
        "gpuCount": fleet.gpu.count,
        "ceilingUsdPerHour": fleet.max_usd_per_hour,
        "rollout": fleet.rollout.model_dump(by_alias=True),
        "instance": dict(instance),
    }


def _instance_of(args: FleetArgs) -> Mapping[str, Any]:
    return slot_inputs(inputs_of(args, NO_NAME, 0, cast(Any, NO_NAME)))


def completed(
    common: Mapping[str, Any], fleets: Mapping[str, Any], clients: Mapping[str, ClientConfig]
) -> dict[str, Any]:
    """Return the output, from values that are all known: each fleet gets its digest, each client its API key."""
    secret, epoch = str(common["tokenSecret"]), {"tokenEpoch": common["tokenEpoch"]}  # tokens are no part of the inputs
    digests = {name: digest_of({**part["instance"], **epoch}, secret) for name, part in fleets.items()}
    return {
        **common,
        "fleets": {name: {**part, "digest": digests[name]} for name, part in fleets.items()},
        "clients": {
            name: {
                "scopes": list(client.scopes),
                "maxInstances": client.max_instances,
                "maxTtlMinutes": client.max_ttl_minutes,
                "apiKey": api_key_for(secret, name, client.key_epoch),
            }
            for name, client in clients.items()
        },
    }
