"""Make and renew the identity's state, pure but for randomness.

Functions import certificates and keys themselves, because most commands do not need them.
"""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from config.rotation import RotationConfig
from providers import old_state
from providers.identity.stack_id import new_stack_id
from providers.identity.tokens import new_token_secret

SECRETS = ("sshPrivateKey", "previousSshPrivateKey", "caKey", "tokenSecret")
OUTPUTS = ("stackId", "sshPublicKey", "caCertificate", *SECRETS)


class InputsInvalidError(ValueError):
    """The identity's inputs are invalid; the message names the field and no value."""


def rotation_of(state: dict[str, Any]) -> RotationConfig:
    """Read the counters that this or another version wrote; unknown ones are ignored."""
    return old_state.read_state(RotationConfig, state.get("rotation") or {})[0]


def requested_rotation(props: dict[str, Any]) -> RotationConfig:
    """Read the counters that a program wrote. Raises InputsInvalidError."""
    try:
        return RotationConfig.model_validate(props.get("rotation") or {})
    except ValidationError as error:
        rows = [f"rotation.{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False)]
        raise InputsInvalidError("; ".join(rows)) from None


def written(rotation: RotationConfig) -> dict[str, int]:
    """Return the property map; without `ca` until it is raised, because older versions do not know it."""
    return rotation.model_dump(exclude=set() if rotation.ca else {"ca"})


def fresh(rotation: RotationConfig, now: datetime) -> dict[str, Any]:
    """Make a new identity, once in a stack's life."""
    from providers.identity.authority import new_ca  # noqa: PLC0415
    from providers.identity.ssh_key import new_ssh_key  # noqa: PLC0415

    stack_id = new_stack_id()
    key, authority = new_ssh_key(_comment(stack_id)), new_ca(stack_id, now)
    return {
        "rotation": written(rotation),
        "stackId": stack_id,
        "sshPublicKey": key.public,
        "sshPrivateKey": key.private,
        "previousSshPrivateKey": "",
        "caCertificate": authority.certificate,
        "caKey": authority.key,
        "tokenSecret": new_token_secret(),
    }


def is_changed(state: dict[str, Any], rotation: RotationConfig, now: datetime) -> bool:
    """Return whether an update has anything to renew or to record."""
    from providers.identity.authority import ends_soon  # noqa: PLC0415

    return rotation_of(state) != rotation or ends_soon(state["caCertificate"], now)


def renewed(state: dict[str, Any], rotation: RotationConfig, now: datetime) -> dict[str, Any]:
    """Return the state after a change of counters.

    Another `ssh` makes a new key and keeps the previous one. Another `ca`, or a CA that ends soon, makes a new certificate
    of the CA under the same key. `tokens` and `certificates` renew nothing here: each instance's token and certificate
    derive from them, so that recording them is enough.
    """
    from providers.identity.authority import Authority, ends_soon, renewed_ca  # noqa: PLC0415
    from providers.identity.ssh_key import new_ssh_key  # noqa: PLC0415

    # Drop the outputs of a later version: this one does not know whether they are secrets.
    kept = {name: state[name] for name in OUTPUTS}
    if rotation.ssh != rotation_of(state).ssh:
        key = new_ssh_key(_comment(state["stackId"]))
        kept |= {
            "previousSshPrivateKey": state["sshPrivateKey"],
            "sshPrivateKey": key.private,
            "sshPublicKey": key.public,
        }
    if rotation.ca != rotation_of(state).ca or ends_soon(state["caCertificate"], now):
        authority = renewed_ca(Authority(state["caKey"], state["caCertificate"]), now)
        kept |= {"caCertificate": authority.certificate}
    return {"rotation": written(rotation), **kept}


def _comment(stack_id: str) -> str:
    return f"gpu-fleet-{stack_id}"
