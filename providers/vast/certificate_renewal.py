"""Renew certificates that end soon, and nothing else: what a schedule runs. Pulumi does it, for those instances alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from providers.identity.authority import ends_soon
from providers.pulumi_state import IDENTITY, INSTANCE
from providers.vast.certificate_due import is_due

TOUCHED = frozenset({"access", "__provider"})  # inputs that a renewal may change
QUIET = frozenset({"same", "read", "refresh"})


@dataclass(frozen=True)
class Due:
    """What is to be renewed: `names` of instances, `ca` for the CA too, and the `urns` by which Pulumi is told."""

    names: tuple[str, ...]
    ca: bool
    urns: tuple[str, ...]
    first: float | None = None  # when the first certificate of a host ends, in unix seconds

    def told(self) -> str:
        """Say it in words."""
        if self.urns:
            return f"To renew: {', '.join([*(['the CA'] if self.ca else []), *self.names])}."
        if self.first is None:
            return "Nothing to renew: the state has no instance with a certificate."
        return f"Nothing to renew: the first certificate ends on {datetime.fromtimestamp(self.first, UTC):%Y-%m-%d}."


def due(deployment: Mapping[str, Any], now: float) -> Due:
    """Find what ends soon, in a deployment as `pulumi stack export` writes it; `now` in unix seconds."""
    rows = [row for row in deployment.get("resources") or [] if not row.get("delete")]
    hosts = {str(row["urn"]): row.get("outputs") or {} for row in rows if row.get("type") == INSTANCE}
    authorities = {
        str(row["urn"])
        for row in rows
        if row.get("type") == IDENTITY
        and ends_soon(str((row.get("outputs") or {}).get("caCertificate")), datetime.fromtimestamp(now, UTC))
    }
    # Instances are handed the CA's certificate: with another one all of them are brought up to date.
    urns = [urn for urn, outs in hosts.items() if authorities or is_due(outs.get("certificateEnd"), now)]
    ends = [float(outs["certificateEnd"]) for outs in hosts.values() if outs.get("certificateEnd")]
    names = tuple(sorted(urn.rpartition("::")[2] for urn in urns))
    return Due(names, bool(authorities), (*sorted(authorities), *sorted(urns)), min(ends, default=None))


def beyond(steps: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what a preview would do besides renewing, as sentences; `steps` are those of `pulumi preview --json`."""
    found = []
    for step in steps:
        urn = str(step.get("urn"))
        name, kind, op = urn.rpartition("::")[2], urn.split("::")[-2].rpartition("$")[2], str(step.get("op"))
        if op in QUIET or kind.startswith(("pulumi:pulumi", "gpu-fleet:components")):
            continue
        if kind not in (INSTANCE, IDENTITY) or op != "update":
            found.append(f"{name}: {op}")
        elif kind == INSTANCE and (other := _edited(step) - TOUCHED):
            found.append(f"{name}: {', '.join(sorted(other))} was edited")
    return found


def _edited(step: Mapping[str, Any]) -> set[str]:
    old, new = ((step.get(side) or {}).get("inputs") or {} for side in ("oldState", "newState"))
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
