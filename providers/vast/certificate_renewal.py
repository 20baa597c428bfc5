"""Renew certificates that end soon, and nothing else. A schedule runs this; Pulumi renews, for those instances only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from providers.identity.authority import ends_soon
from providers.vast.certificate_due import is_due
from providers.vast.pulumi_state import IDENTITY, INSTANCE

TOUCHED = frozenset({"access", "__provider"})  # inputs that a renewal may change
QUIET = frozenset({"same", "read", "refresh"})


@dataclass(frozen=True)
class Due:
    """The certificates to renew.

    `names` are instances, `ca` says whether the CA is due too, and `urns` name both to Pulumi.
    """

    names: tuple[str, ...]
    ca: bool
    urns: tuple[str, ...]
    first: float | None = None  # end of the first host certificate, in unix seconds

    def describe(self) -> str:
        """Describe the renewals for people."""
        if self.urns:
            return f"To renew: {', '.join([*(['the CA'] if self.ca else []), *self.names])}."
        if self.first is None:
            return "Nothing to renew: the state has no instance with a certificate."
        return f"Nothing to renew: the first certificate ends on {datetime.fromtimestamp(self.first, UTC):%Y-%m-%d}."


def due(deployment: Mapping[str, Any], now: float) -> Due:
    """Find certificates that end soon, in a deployment as `pulumi stack export` writes it; `now` in unix seconds."""
    rows = [row for row in deployment.get("resources") or [] if not row.get("delete")]
    hosts = {str(row["urn"]): row.get("outputs") or {} for row in rows if row.get("type") == INSTANCE}
    authorities = {
        str(row["urn"])
        for row in rows
        if row.get("type") == IDENTITY
        and ends_soon(str((row.get("outputs") or {}).get("caCertificate")), datetime.fromtimestamp(now, UTC))
    }
    # Every instance has the CA's certificate. So a new CA certificate updates all of them.
    urns = [urn for urn, outs in hosts.items() if authorities or is_due(outs.get("certificateEnd"), now)]
    ends = [float(outs["certificateEnd"]) for outs in hosts.values() if outs.get("certificateEnd")]
    names = tuple(sorted(urn.rpartition("::")[2] for urn in urns))
    return Due(names, bool(authorities), (*sorted(authorities), *sorted(urns)), min(ends, default=None))


def beyond(steps: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return everything that a preview would do besides renewing, as sentences.

    `steps` are those of `pulumi preview --json`.
    """
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
