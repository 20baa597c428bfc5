"""What the identity keeps, pure but for randomness: how it comes to be, and what a raised counter renews.

Certificates and keys are imported by the functions that make or read them: most commands have no use for them.
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
    """The identity's inputs are not what they must be; the message names the field and no value."""


def rotation_of(state: dict[str, Any]) -> RotationConfig:
    """Read the counters that this or another version wrote: what does not count here is left aside."""
    return old_state.read_state(RotationConfig, state.get("rotation") or {})[0]


def wished_rotation(props: dict[str, Any]) -> RotationConfig:
    """Read the counters that a program has written. Raises InputsInvalidError."""
    try:
        return RotationConfig.model_validate(props.get("rotation") or {})
    except ValidationError as error:
        rows = [f"rotation.{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False)]
        raise InputsInvalidError("; ".join(rows)) from None


def written(rotation: RotationConfig) -> dict[str, int]:
    """Return the property map; `ca` is in it once it was raised, because older versions do not know it."""
    return rotation.model_dump(exclude=set() if rotation.ca else {"ca"})


def fresh(rotation: RotationConfig, now: datetime) -> dict[str, Any]:
    """Make everything anew; done once in a stack's life."""
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
    """Say whether an update has anything to renew or to write down."""
    from providers.identity.authority import ends_soon  # noqa: PLC0415

    return rotation_of(state) != rotation or ends_soon(state["caCertificate"], now)


def renewed(state: dict[str, Any], rotation: RotationConfig, now: datetime) -> dict[str, Any]:
    """Return the state after a change of counters. Another `ssh` makes another key and keeps the one before; another `ca`,
    or an end that is near, makes another certificate of the CA under the same key.

    `tokens` and `certificates` renew nothing here: they are part of what each instance's token and certificate are made
    of, so recording them is enough.
    """
    from providers.identity.authority import Authority, ends_soon, renewed_ca  # noqa: PLC0415
    from providers.identity.ssh_key import new_ssh_key  # noqa: PLC0415

    # What a later version keeps here besides goes: this one does not know whether it is a secret.
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
