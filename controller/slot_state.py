"""Read the facts of a slot's instance from the state of its stack, or from the engine's events of an `up` that ended well."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers import engine_events
from providers.elastic import slot_output
from providers.elastic.applied import UnreadableOutputError
from providers.elastic.slot_output import SlotOutput
from providers.vast.pulumi_state import INSTANCE
from providers.vast.running_check import is_down

STACK = "pulumi:pulumi:Stack"
NO_DIGEST = "none"  # no `up` has ended well


@dataclass(frozen=True)
class StateLook:
    """What state says of a slot's instance after a refresh. `output` is None if none is rented, or none ever served.

    `dead`: the market or the host says for certain that it serves no client. `pending`: an unfinished create is recorded.
    """

    output: SlotOutput | None
    drift: tuple[str, ...] = ()
    pending: bool = False

    @property
    def dead(self) -> bool:
        """Whether it serves no client, for certain."""
        return any(is_down(one) for one in self.drift)


def look_at(name: str, deployment: Mapping[str, Any], older: Callable[[], str]) -> StateLook:
    """Return what an exported state says of the instance `name`. Raises UnreadableOutputError.

    `older` returns the digest of a state that an older version wrote, or that no `up` ended well in.
    """
    pending = bool(deployment.get("pending_operations"))
    rows = [row for row in _rows(deployment) if row.get("type") == INSTANCE and not row.get("delete")]
    if not rows:
        return StateLook(None, (), pending)
    outputs = _outputs(rows[0])
    stack = next((_outputs(row) for row in _rows(deployment) if row.get("type") == STACK), {})
    digest = stack.get(slot_output.DIGEST)
    output = _output(name, outputs, digest if isinstance(digest, str) else older())
    return StateLook(output, tuple(map(str, outputs.get("drift") or ())), pending)


def told_by(name: str, events: Sequence[object]) -> SlotOutput | None:
    """Return what the events of an `up` tell of the instance `name`; None if they do not tell all of it."""
    steps = [one for one in events if isinstance(one, engine_events.Step) and one.outputs and not one.failed]
    last = {one.type: one.outputs for one in steps}
    digest = last.get(STACK, {}).get(slot_output.DIGEST)
    if INSTANCE not in last or not isinstance(digest, str):
        return None
    try:
        return _output(name, last[INSTANCE], digest)
    except UnreadableOutputError:
        return None


def _output(name: str, outputs: Mapping[str, Any], digest: str) -> SlotOutput:
    found = {"ssh": "", "endpoint": None, **outputs}
    keys = {"host_key": "hostKey", "instance_id": "instanceId", "charged": "chargedUsdPerHour", "price": "usdPerHour"}
    found |= {key: outputs.get(spelt) for key, spelt in keys.items()}
    return slot_output.parse(slot_output.written(name, digest, found))


def _rows(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    return deployment.get("resources") or []


def _outputs(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return row.get("outputs") or {}
