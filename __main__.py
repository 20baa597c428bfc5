"""The program: read stack config, make the stack's components, export the outputs that clients need."""

import os
import threading

import pulumi

from components.debug_lines import cut_properties
from components.elastic import export_elastic
from components.fleet import export_fleets, make_fleets
from components.kept_outputs import keep_outputs
from components.metrics_kit import find_shipper
from components.provider_pool import ProviderPool
from components.slot import make_slot
from components.stack_config import read_program_config, seal_inputs, stack_name
from components.store import Store, StoreArgs
from config.base import PROJECT
from config.secret_keys import SECRETS
from config.slot_names import parse
from providers.identity.resource import Identity
from providers.orphans import end_orphans
from providers.rentals.resource import Rentals


def main() -> None:
    """Declare the stack."""
    threading.Thread(target=end_orphans, daemon=True).start()  # a destroy of little may call no provider that does it
    cut_properties()
    if slot := parse(pulumi.get_stack()):
        make_slot(slot)
        return
    config = read_program_config()
    stack, source = config.stack, config.source
    seal_inputs(config.secret_leaves)
    kept = keep_outputs()
    keys = {key: source.require_secret(key) for key in (*SECRETS, *(["hcloudToken"] if stack.cluster else []))}
    pool = ProviderPool(PROJECT, keys)
    common = pulumi.ResourceOptions(provider=pool.common())
    identity = Identity("identity", {"rotation": stack.rotation.model_dump(), "stack": stack_name()}, common)
    place = stack.store.model_dump(by_alias=True, include={"endpoint", "region", "bucket", "on_destroy"})
    inputs = {"market": stack.market.model_dump(by_alias=True), "stackId": identity.stackId, "stack": stack_name()}
    rentals = Rentals("rentals", {**inputs, "store": place}, common)
    shipper = find_shipper() if stack.metrics else None
    manifests = {name: model.manifest for name, model in config.models.items()}
    store_args = StoreArgs(stack, manifests, identity, rentals, config.project, shipper, config.secret_leaves)
    store = Store("store", store_args, pool)
    own = None
    if stack.cluster:
        from components.hetzner import make_cluster  # noqa: PLC0415 -- pulumi_hcloud, which no other stack needs

        own = make_cluster(stack, identity, source, pool.common(), store.bucket)
    metrics_key = source.require_secret("metricsKey") if shipper else None
    leaves, receiver = config.secret_leaves, own.receiver if own else None
    fleets = make_fleets(stack, config.models, store, identity, rentals, pool, metrics_key, leaves, own=receiver)
    if stack.kubernetes and os.environ.get("GPU_FLEET_KUBERNETES") != "off":
        from components.observability import OwnCluster, observe  # noqa: PLC0415 -- half a second for other stacks

        cluster = OwnCluster(own.kubeconfig, own.receiver_certificate) if own else None
        watching = observe(stack, source, config.values, config.project, leaves, cluster)
        pulumi.export("observability", watching)
    if stack.cluster_controller and os.environ.get("GPU_FLEET_KUBERNETES") != "off":
        from components import controller  # noqa: PLC0415 -- as above

        way = controller.OwnCluster(own.kubeconfig, own.api, own.api_certificate) if own else None
        made = controller.run_controller(stack, source, config.values, config.project, identity.tokenSecret, way)
        pulumi.export("controller", made)
    export_fleets(fleets)
    export_elastic(stack, [fleet.args for fleet in fleets], identity, keys)
    # Waits for the outputs of before: the engine keeps the value that is registered last.
    pulumi.export("caCertificate", pulumi.Output.all(kept, identity.caCertificate).apply(lambda both: both[1]))


main()
