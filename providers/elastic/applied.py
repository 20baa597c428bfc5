"""The main stack's secret output `elastic`: all that a slot and the controller need of it, as the last `up` applied it.

The output holds secrets, so it is a secret as a whole. Its models never print one.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from config.clients import Scope
from config.controller import ControllerConfig
from config.elastic import Elastic
from config.monitoring import BudgetConfig
from config.rollout import RolloutConfig
from providers.identity.tokens import token_for

NAME = "elastic"  # of the output
VERSION = 1


class UnreadableOutputError(ValueError):
    """An output of a stack cannot be read. The message names fields, and no value."""


class Part(BaseModel):
    """A part of an output. It is frozen, and it leaves aside the keys of a newer version."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class AppliedFleet(Part):
    """One elastic fleet. `ceiling` is US dollars an hour for one instance; `gpus` are the market's names.

    `digest` changes with everything that an instance is made of. `instance`: inputs of one VastInstance but for its name,
    label and token.
    """

    bounds: Elastic
    model: str
    gpus: tuple[str, ...]
    gpu_count: int = Field(1, alias="gpuCount", ge=1)
    ceiling: float = Field(alias="ceilingUsdPerHour", gt=0)
    rollout: RolloutConfig = RolloutConfig()
    digest: str = Field(min_length=1)
    instance: dict[str, Any] = Field(repr=False)


class AppliedClient(Part):
    """A client of the controller: its limits, and the API key that derives from the stack's secret."""

    scopes: frozenset[Scope]
    max_instances: int = Field(alias="maxInstances", ge=0)
    max_ttl_minutes: float = Field(alias="maxTtlMinutes", gt=0)
    api_key: SecretStr = Field(alias="apiKey", min_length=1)


class Applied(Part):
    """The output. `stack` is the main stack's own name; `unreadable` says per fleet or client why it was left aside."""

    version: Literal[1]
    stack: str = Field(min_length=1)
    project: str = Field(min_length=1)
    stack_id: str = Field(alias="stackId", min_length=1)
    fleets: dict[str, AppliedFleet] = Field(default_factory=dict)
    clients: dict[str, AppliedClient] = Field(default_factory=dict)
    budget: BudgetConfig = BudgetConfig()
    controller: ControllerConfig = ControllerConfig()
    market_url: str = Field(alias="marketUrl", min_length=1)
    token_secret: SecretStr = Field(alias="tokenSecret")
    token_epoch: int = Field(0, alias="tokenEpoch", ge=0)
    ssh_key: SecretStr = Field(alias="sshKey")
    ca_certificate: str = Field(alias="caCertificate")
    keys: dict[str, SecretStr] = Field(
        default_factory=dict
    )  # of market and object store, by their names in stack config
    unreadable: dict[str, str] = Field(default_factory=dict)

    def token(self, instance: str) -> str:
        """Return the bearer token of an instance by its name, such as `burst-s0`."""
        return token_for(self.token_secret.get_secret_value(), instance, self.token_epoch)


def parse(value: Any) -> Applied:
    """Read the output. A fleet or client that cannot be read is left aside, with its reason in `unreadable`.

    Raises UnreadableOutputError.
    """
    if not isinstance(value, Mapping):
        raise UnreadableOutputError(f"the output `{NAME}` is no map")
    unreadable: dict[str, str] = {}
    kept = {
        key: _readable(key, value.get(key), model, unreadable)
        for key, model in (("fleets", AppliedFleet), ("clients", AppliedClient))
    }
    try:
        return Applied.model_validate({**value, **kept, "unreadable": unreadable})
    except ValidationError as error:
        raise UnreadableOutputError(f"the output `{NAME}`: {describe_errors(error)}") from None


def digest_of(instance: Mapping[str, Any], secret: str) -> str:
    """Return the mark of everything that an instance is made of: HMAC-SHA256 in hex, keyed by the stack's token secret.

    Without the key, a reader of the mark could guess a short password among the inputs.
    """
    text = json.dumps(instance, sort_keys=True, separators=(",", ":"))
    return hmac.new(bytes.fromhex(secret), f"instance\0{text}".encode(), hashlib.sha256).hexdigest()


def _readable(kind: str, rows: Any, model: type[Part], unreadable: dict[str, str]) -> dict[str, Part]:
    found = {}
    for name, row in rows.items() if isinstance(rows, Mapping) else ():
        try:
            found[str(name)] = model.model_validate(row)
        except ValidationError as error:
            unreadable[f"{kind}.{name}"] = describe_errors(error)
    return found


def describe_errors(error: ValidationError) -> str:
    """Return the mistake in each field, and no value."""
    rows = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in rows)
