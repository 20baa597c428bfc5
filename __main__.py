"""The program: read stack config, make the stack's components, export what clients need."""

import os
from pathlib import Path

import pulumi

from components.confidential import Confidential, stack_sections
from components.config import PROJECT, SECRETS, ConfigError, given_keys, load, needed_secrets, refusals
from components.debug_lines import cut_properties
from components.fleet import make_fleets
from components.kept_outputs import keep_outputs
from components.models import load_models
from components.provider_pool import ProviderPool
from components.reporting import MISSING, vmagent
from components.schema import StackConfig
from components.store import Store, StoreArgs
from providers.identity.resource import Identity
from providers.rentals.resource import Rentals


def main() -> None:
    """Declare the stack."""
    cut_properties()
    source = pulumi.Config(PROJECT)
    project = Path(pulumi.runtime.get_root_directory() or ".")
    known = given_keys({**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()})
    hidden = hidden_sections(source, known)
    confidential = Confidential.of(hidden, stack_sections(project, pulumi.get_stack(), PROJECT) if hidden else {})
    try:
        stack = load(source, known, project, confidential)
        models = load_models(stack, project)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    passphrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if refused := refusals(known, needed_secrets(stack), stack.market.url, passphrase):
        raise pulumi.RunError("\n".join(refused))

    # Whatever a resource gets of a secret leaf goes to the engine as a secret.
    pulumi.runtime.register_stack_transformation(
        lambda args: pulumi.ResourceTransformationResult(confidential.sealed(args.props), args.opts)
    )
    kept = keep_outputs()
    pool = ProviderPool(PROJECT, {key: source.require_secret(key) for key in SECRETS})
    common = pulumi.ResourceOptions(provider=pool.common())
    identity = Identity("identity", {"rotation": stack.rotation.model_dump(), "stack": stack_name()}, common)
    rentals = Rentals(
        "rentals",
        {"market": stack.market.model_dump(by_alias=True), "stackId": identity.stackId, "stack": stack_name()},
        common,
    )
    shipper = vmagent(os.environ.get("PATH")) if stack.metrics else None
    if stack.metrics and shipper is None:
        pulumi.log.warn(MISSING)
    manifests = {name: model.manifest for name, model in models.items()}
    store = Store("store", StoreArgs(stack, manifests, identity, project, shipper, confidential), pool)
    metrics_key = source.require_secret("metricsKey") if shipper else None
    fleets = make_fleets(stack, models, store, identity, rentals, pool, metrics_key, confidential)

    if stack.kubernetes and os.environ.get("GPU_FLEET_KUBERNETES") != "off":
        from components.observability import observe  # noqa: PLC0415 -- half a second that other stacks need not pay

        pulumi.export("observability", observe(stack, source, known, project, confidential))

    pulumi.export("endpoints", {name: url for fleet in fleets for name, url in fleet.endpoints.items()})
    prices = [price for fleet in fleets for price in fleet.prices.values()]
    pulumi.export("hourlyCost", pulumi.Output.all(*prices).apply(lambda each: round(sum(each), 4)))
    pulumi.export("starts", {name: fleet.start.to_output() for name, fleet in zip(stack.fleets, fleets, strict=True)})
    # Waits for the outputs of before: whatever is registered last stays.
    pulumi.export("caCertificate", pulumi.Output.all(kept, identity.caCertificate).apply(lambda both: both[1]))
    pulumi.export("tokens", pulumi.Output.secret({name: each for one in fleets for name, each in one.tokens.items()}))


def stack_name() -> str:
    """Return the stack's whole name at the backend."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def hidden_sections(source: pulumi.Config, known: set[str]) -> dict[str, object]:
    """Return the structured values with a secret leaf; Pulumi marks the whole key and hands it over in plain."""
    found = {}
    for key in StackConfig.model_fields:
        if key in known and pulumi.runtime.is_config_secret(f"{PROJECT}:{key}"):
            try:
                found[key] = source.get_object(key)
            except pulumi.ConfigTypeError:
                found[key] = source.get(key)
    return found


main()
