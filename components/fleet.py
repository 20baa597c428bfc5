"""A fleet: several equal instances, each with its own label, token and certificate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.models import Model
from components.provider_pool import ProviderPool
from components.requirements import arguments_of, disk_gb, requirements_of
from components.store import Store
from config.fleets import FleetConfig
from config.registry import RegistryConfig
from config.secret_leaves import NONE, SecretLeaves
from config.stack import StackConfig
from providers.identity.resource import Identity
from providers.identity.tokens import token_for
from providers.rentals.resource import Rentals
from providers.vast.api.label import Label
from providers.vast.resource import VastInstance
from weights.manifest import Manifest
from weights.quantities import StartCost

GATE_PORT = 8443


@dataclass(frozen=True)
class FleetArgs:
    """The inputs of a fleet.

    `blobs` must exist before a host can fetch. `rentals` outlives every instance. `pins` are digests of compile caches by
    key. With `metrics_key` the instances report metrics.
    """

    name: str
    fleet: FleetConfig
    stack: StackConfig
    model: Manifest
    kit: Manifest
    identity: Identity
    blobs: list[pulumi.Resource]
    rentals: Rentals
    pins: Mapping[str, str] = field(default_factory=dict)
    metrics_key: pulumi.Output[str] | None = None
    secret_leaves: SecretLeaves = NONE


class Fleet(pulumi.ComponentResource):
    """`gpu-fleet:components:Fleet`: `replicas` VastInstances named `<fleet>-<index>`, without the indexes in `without`.

    An elastic fleet has none: each of its instances is in the stack of a slot.

    Outputs: `endpoints`, `tokens` (secret) and `prices`, by instance name; `start`: what a start reads from the bucket.
    """

    endpoints: dict[str, pulumi.Output[str]]
    prices: dict[str, pulumi.Output[float]]
    tokens: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: FleetArgs, pool: ProviderPool, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gpu-fleet:components:Fleet", name, None, opts)
        self.name, self.args = args.name, args
        self.endpoints, self.prices, self.tokens = {}, {}, {}
        self.start = StartCost(args.model.total_bytes + args.kit.total_bytes)
        for index in args.fleet.indexes:
            instance_name = f"{args.name}-{index}"
            token = _token(args, instance_name)
            instance = VastInstance(
                instance_name,
                instance_inputs(args, instance_name, index, token),
                pulumi.ResourceOptions(
                    parent=self,
                    provider=pool.for_instance(),
                    depends_on=[args.rentals, *args.blobs],
                ),
            )
            self.endpoints[instance_name] = instance.endpoint
            self.prices[instance_name] = pulumi.Output.all(instance.chargedUsdPerHour, instance.usdPerHour).apply(
                _price
            )
            self.tokens[instance_name] = token
        self.register_outputs({"endpoints": self.endpoints})


def make_fleets(
    stack: StackConfig,
    models: Mapping[str, Model],
    store: Store,
    identity: Identity,
    rentals: Rentals,
    pool: ProviderPool,
    metrics_key: pulumi.Output[str] | None = None,
    secret_leaves: SecretLeaves = NONE,
) -> list[Fleet]:
    """Make every fleet of the stack's config."""
    return [
        Fleet(
            name,
            FleetArgs(
                name=name,
                fleet=fleet,
                stack=stack,
                model=models[fleet.model].manifest,
                kit=store.kit,
                identity=identity,
                blobs=store.blobs_of(fleet.model),
                rentals=rentals,
                pins=models[fleet.model].pins,
                metrics_key=metrics_key,
                secret_leaves=secret_leaves,
            ),
            pool,
        )
        for name, fleet in stack.fleets.items()
    ]


def export_fleets(fleets: list[Fleet]) -> None:
    """Export the endpoints, tokens and costs of all fleets."""
    prices = [price for fleet in fleets for price in fleet.prices.values()]
    pulumi.export("endpoints", {name: url for fleet in fleets for name, url in fleet.endpoints.items()})
    pulumi.export("hourlyCost", pulumi.Output.all(*prices).apply(lambda each: round(sum(each), 4)))
    pulumi.export("starts", {fleet.name: fleet.start.to_output() for fleet in fleets})
    pulumi.export("tokens", pulumi.Output.secret({name: each for one in fleets for name, each in one.tokens.items()}))


def instance_inputs(args: FleetArgs, instance_name: str, index: int, token: pulumi.Output[str]) -> Mapping[str, Any]:
    """Return the inputs of one instance, in the shape of `providers.vast.settings.InstanceSettings`."""
    fleet, stack, identity = args.fleet, args.stack, args.identity
    reports = stack.metrics is not None and args.metrics_key is not None
    inputs = {
        "name": instance_name,
        "label": identity.stackId.apply(lambda stack_id: str(Label(stack_id, instance_name))),
        "turn": index,
        "replicas": fleet.most,
        "rollout": {"fleet": args.name, "maxUnavailable": fleet.rollout.most_down(fleet.most)},
        "market": stack.market.model_dump(by_alias=True),
        "store": {
            "endpoint": stack.store.host_endpoint or stack.store.endpoint,
            "ownEndpoint": stack.store.endpoint,
            "region": stack.store.region,
            "bucket": stack.store.bucket,
            **({"referenceUrl": stack.store.reference_url} if stack.store.reference_url else {}),
        },
        "wishes": requirements_of(fleet),
        "preflight": fleet.preflight.model_dump(by_alias=True),
        "limits": stack.limits.model_dump(by_alias=True),
        "server": {
            "image": fleet.image,
            "modelName": fleet.model,
            "arguments": list(arguments_of(fleet, args.model.about)),
            "environment": dict(fleet.environment),
            "port": GATE_PORT,
            "warmStart": fleet.warm_start,
            "warmPins": dict(args.pins),
        },
        "diskGb": disk_gb(fleet, args.model),
        "model": args.model.to_props(),
        "kit": args.kit.to_props(),
        "access": {
            "sshPublicKey": identity.sshPublicKey,
            "sshPrivateKey": identity.sshPrivateKey,
            "caCertificate": identity.caCertificate,
            "caKey": identity.caKey,
            "token": token,
            "certificateEpoch": stack.rotation.certificates,
            **({"metricsKey": args.metrics_key} if reports else {}),
        },
        **({"registry": _login(fleet.registry)} if fleet.registry else {}),
        **({"selfDestruct": limits} if (limits := _self_destruct(fleet)) else {}),
        **({"metrics": stack.metrics.model_dump(by_alias=True)} if reports and stack.metrics else {}),
    }
    # The provider gets its inputs in plain. This list names the values that it must redact.
    secrets = args.secret_leaves.among(inputs)
    return {**inputs, "secrets": pulumi.Output.secret(secrets)} if secrets else inputs


def _self_destruct(fleet: FleetConfig) -> Mapping[str, float]:
    """Return when a host ends itself; empty for a fleet whose hosts never do, so that its inputs stay as they were."""
    limits = {
        "idleMinutes": fleet.idle_minutes,
        "maxHours": fleet.max_hours,
        "leaseMinutes": fleet.lease_minutes,
    }
    return {key: value for key, value in limits.items() if value is not None}


def _price(prices: list[float | None]) -> float:
    """Choose the charged price, or the price at the rent if an older state has no charged one."""
    return next((price for price in prices if price is not None), 0.0)


def _login(registry: RegistryConfig) -> Mapping[str, Any]:
    password = pulumi.Output.secret(registry.password.get_secret_value())
    return {"server": registry.server, "user": registry.user, "password": password}


def _token(args: FleetArgs, instance_name: str) -> pulumi.Output[str]:
    epoch = args.stack.rotation.tokens
    return pulumi.Output.secret(args.identity.tokenSecret.apply(lambda secret: token_for(secret, instance_name, epoch)))
