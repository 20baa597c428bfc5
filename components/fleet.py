"""A fleet: several equal instances, each with its own label, token and certificate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.instance_inputs import FleetParts, OpaqueValues, instance_inputs
from components.models import Model
from components.provider_pool import ProviderPool
from components.store import Store
from config.secret_leaves import NONE, SecretLeaves
from config.stack import StackConfig
from providers.identity.resource import Identity
from providers.identity.tokens import token_for
from providers.rentals.resource import Rentals
from providers.vast.api.label import Label
from providers.vast.resource import VastInstance
from weights.quantities import StartCost


@dataclass(frozen=True)
class OwnReceiver:
    """The receiver in the stack's own cluster. `first`: resources that must exist before the stack rents."""

    url: pulumi.Output[str]
    first: tuple[pulumi.Resource, ...]


@dataclass(frozen=True, kw_only=True)
class FleetArgs(FleetParts):
    """The inputs of a fleet.

    `blobs` must exist before a host can fetch. `rentals` outlives every instance. With `metrics_key` the instances report
    metrics; to the stack's `own` receiver, if config names none.
    """

    identity: Identity
    blobs: list[pulumi.Resource]
    rentals: Rentals
    metrics_key: pulumi.Output[str] | None = None
    own: OwnReceiver | None = None
    secret_leaves: SecretLeaves = NONE


class Fleet(pulumi.ComponentResource):
    """`gpu-fleet:components:Fleet`: `replicas` VastInstances named `<fleet>-<index>`, without the indexes in `without`.

    An elastic fleet has none: each of its instances is in the stack of a slot.

    Outputs: `endpoints`, `tokens` (secret) and `prices`, by instance name; `start`: the cost of a start's reads
    from the bucket.
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
                inputs_of(args, instance_name, index, token),
                pulumi.ResourceOptions(
                    parent=self,
                    provider=pool.for_instance(),
                    depends_on=[args.rentals, *args.blobs, *(args.own.first if args.own else ())],
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
    *,
    own: OwnReceiver | None = None,
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
                own=own,
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


def inputs_of(args: FleetArgs, instance_name: str, index: int, token: pulumi.Output[str]) -> Mapping[str, Any]:
    """Return the inputs of one instance, with the engine's outputs and every secret among them marked."""
    inputs = instance_inputs(args, _opaque(args, instance_name, token), instance_name, index)
    # The provider gets its inputs in plain. This list names the values that it must redact.
    secrets = args.secret_leaves.among(inputs)
    return {**inputs, "secrets": pulumi.Output.secret(secrets)} if secrets else inputs


def _opaque(args: FleetArgs, instance_name: str, token: pulumi.Output[str]) -> OpaqueValues:
    identity, registry = args.identity, args.fleet.registry
    return OpaqueValues(
        label=identity.stackId.apply(lambda stack_id: str(Label(stack_id, instance_name))),
        token=token,
        ssh_public_key=identity.sshPublicKey,
        ssh_private_key=identity.sshPrivateKey,
        ca_certificate=identity.caCertificate,
        ca_key=identity.caKey,
        metrics_key=args.metrics_key,
        metrics_url=args.own.url if args.own else None,
        registry_password=pulumi.Output.secret(registry.password.get_secret_value()) if registry else None,
    )


def _price(prices: list[float | None]) -> float:
    """Choose the charged price, or the price at the rent if an older state has no charged one."""
    return next((price for price in prices if price is not None), 0.0)


def _token(args: FleetArgs, instance_name: str) -> pulumi.Output[str]:
    epoch = args.stack.rotation.tokens
    return pulumi.Output.secret(args.identity.tokenSecret.apply(lambda secret: token_for(secret, instance_name, epoch)))
