"""Builds the inputs of one instance from stack config, for the program and for a review of an edit.

Without Pulumi: the program hands its outputs in as opaque values, and a review hands in stand-ins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.requirements import arguments_of, disk_gb, requirements_of
from config.fleets import FleetConfig
from config.monitoring import MetricsConfig
from config.stack import StackConfig
from weights.manifest import Manifest

GATE_PORT = 8443
NOT_FROM_FLEET = (
    "name",
    "label",
    "turn",
    "rollout",
    "budget",
)  # inputs that a slot's instance has for itself, or not at all


@dataclass(frozen=True, kw_only=True)
class FleetParts:
    """A fleet's config and files. `pins` are digests of compile caches by key."""

    name: str
    fleet: FleetConfig
    stack: StackConfig
    model: Manifest
    kit: Manifest
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OpaqueValues:
    """Values that are only handed on: outputs of the engine, or stand-ins of one type.

    `metrics_key` None: the instance reports no metrics. `metrics_url`: of the stack's own receiver, if config names none.
    `registry_password` None: the text in config.
    """

    label: Any
    token: Any
    ssh_public_key: Any
    ssh_private_key: Any
    ca_certificate: Any
    ca_key: Any
    metrics_key: Any = None
    metrics_url: Any = None
    registry_password: Any = None


def instance_inputs(parts: FleetParts, opaque: OpaqueValues, instance_name: str, index: int) -> dict[str, Any]:
    """Return the inputs of one instance, in the shape of `providers.vast.settings.InstanceSettings`."""
    fleet, stack = parts.fleet, parts.stack
    reports = stack.metrics is not None and opaque.metrics_key is not None
    return {
        "name": instance_name,
        "label": opaque.label,
        "turn": index,
        "replicas": fleet.most,
        "rollout": {"fleet": parts.name, "maxUnavailable": fleet.rollout.most_down(fleet.most)},
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
            "arguments": list(arguments_of(fleet, parts.model.about)),
            "environment": dict(fleet.environment),
            "port": GATE_PORT,
            "warmStart": fleet.warm_start,
            "warmPins": dict(parts.pins),
        },
        "diskGb": disk_gb(fleet, parts.model),
        "model": parts.model.to_props(),
        "kit": parts.kit.to_props(),
        "access": {
            "sshPublicKey": opaque.ssh_public_key,
            "sshPrivateKey": opaque.ssh_private_key,
            "caCertificate": opaque.ca_certificate,
            "caKey": opaque.ca_key,
            "token": opaque.token,
            "certificateEpoch": stack.rotation.certificates,
            **({"metricsKey": opaque.metrics_key} if reports else {}),
        },
        **({"registry": _login(fleet, opaque)} if fleet.registry else {}),
        **({"selfDestruct": limits} if (limits := _self_destruct(fleet)) else {}),
        **({"budget": budget} if (budget := _budget(stack)) else {}),
        **({"metrics": _metrics(stack.metrics, opaque)} if reports and stack.metrics else {}),
    }


def slot_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of one slot's instance, from those of an instance of its fleet; without name, label and token.

    The rollout is left out: the controller does the waves of slots, because each is alone in its stack. So is the budget,
    because an edit of it must not roll all slots. A slot takes it from the output's own field at its next `up`.
    """
    return {**{key: value for key, value in inputs.items() if key not in NOT_FROM_FLEET}, "replicas": 1}


def _metrics(metrics: MetricsConfig, opaque: OpaqueValues) -> Mapping[str, Any]:
    """Return the instance's receiver. Without `ownCa` unless the receiver is the stack's, so that inputs stay."""
    written = metrics.model_dump(by_alias=True)
    return written if metrics.url else {**written, "url": opaque.metrics_url, "ownCa": True}


def _budget(stack: StackConfig) -> Mapping[str, Any]:
    """Return the budget that no rent may pass; empty for none, so that inputs stay as they were."""
    return stack.budget.input_of([name for name, fleet in stack.fleets.items() if fleet.elastic])


def _self_destruct(fleet: FleetConfig) -> Mapping[str, float]:
    """Return when a host ends itself; empty for a fleet whose hosts never do, so that its inputs stay as they were."""
    limits = {
        "idleMinutes": fleet.idle_minutes,
        "maxHours": fleet.max_hours,
        "leaseMinutes": fleet.lease_minutes,
    }
    return {key: value for key, value in limits.items() if value is not None}


def _login(fleet: FleetConfig, opaque: OpaqueValues) -> Mapping[str, Any]:
    assert fleet.registry is not None
    own = fleet.registry.password.get_secret_value()
    password = own if opaque.registry_password is None else opaque.registry_password
    return {"server": fleet.registry.server, "user": fleet.registry.user, "password": password}
