"""Define `Identity`, token `pulumi-python:dynamic/identity:Identity`: keys and marks that a stack makes itself.

Module path and class names are persisted in every stack's state: a rename is a migration. The provider class has no
attributes, so that it is pickled by reference and state carries no code.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from providers.engine_watch import EngineWatch
from providers.identity.replacement import refusal
from providers.identity.state import (
    OUTPUTS,
    SECRETS,
    InputsInvalidError,
    fresh,
    is_changed,
    renewed,
    requested_rotation,
    rotation_of,
    written,
)
from providers.provider_process import take_over
from providers.vast.pulumi_state import run_pulumi


class IdentityProvider(ResourceProvider):
    """Translate between the engine's calls and `state`. Changes nothing outside the stack's state."""

    serialize_as_secret_always = False

    def configure(self, _req: ConfigureRequest) -> None:
        """Take no args; only make this process end with its engine."""
        take_over(EngineWatch.of_this_process(), lambda: False)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate the counters; they arrive as floats and leave as whole numbers.

        Without olds it is created or replaced; a replacement is refused while instances run.
        """
        try:
            inputs = {"rotation": written(requested_rotation(news))}
        except InputsInvalidError as error:
            return CheckResult(news, [CheckFailure("", f"gpu-fleet:{error}")])
        refused = refusal(run_pulumi, str(news.get("stack") or "")) if not olds else ""
        return CheckResult(inputs, [CheckFailure("stack", refused)] if refused else [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Update in place for another counter or a CA that ends soon; never replace, because labels hold the identity."""
        return DiffResult(changes=is_changed(olds, rotation_of(news), datetime.now(UTC)), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make everything."""
        state = fresh(rotation_of(props), datetime.now(UTC))
        return CreateResult(state["stackId"], state)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the state, which is the only source."""
        state = {name: value for name, value in props.items() if name[0] != "_"}
        rotation = {"rotation": written(rotation_of(props))}
        return ReadResult(id_, {**rotation, **state}, rotation)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Record the counters, and renew the SSH key or the CA's certificate if their counter changed."""
        return UpdateResult(renewed(olds, rotation_of(news), datetime.now(UTC)))


class Identity(Resource, module="identity", name="Identity"):
    """Hold the stack's identity. Inputs: rotation {tokens, ssh, certificates, ca}, counters; `stack`, its backend name.

    Everything but `stackId`, `sshPublicKey` and `caCertificate` is a secret. `previousSshPrivateKey` is the key before the
    last change of `rotation.ssh`, or empty.
    """

    stackId: pulumi.Output[str]  # noqa: N815 -- the names of properties in state
    sshPublicKey: pulumi.Output[str]  # noqa: N815
    sshPrivateKey: pulumi.Output[str]  # noqa: N815
    previousSshPrivateKey: pulumi.Output[str]  # noqa: N815
    caCertificate: pulumi.Output[str]  # noqa: N815
    caKey: pulumi.Output[str]  # noqa: N815
    tokenSecret: pulumi.Output[str]  # noqa: N815

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=list(SECRETS))
        props = {**inputs, **dict.fromkeys(OUTPUTS)}
        super().__init__(IdentityProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret))
