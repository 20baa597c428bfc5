"""Find the reasons why a Hetzner project cannot give a stack its cluster, and the cluster's monthly price. Pure."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from providers.cluster.hetzner_api import Named, Pricing, Server, ServerType
from providers.cluster.names import LOAD_BALANCER, TOKEN_LETTERS

KINDS = ("servers", "networks", "firewalls", "primary_ips", "volumes")  # of the resources with the cluster's name
ADVICE = "pulumi config set --path gpu-fleet:cluster"


class ClusterSpec(BaseModel):
    """The demands of stack config on Hetzner: the inputs of the resource `Account`."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    api_url: str = Field(alias="apiUrl")
    name: str
    location: str
    server: str
    volume_gb: int = Field(alias="volumeGb")
    load_balancer: bool = Field(False, alias="loadBalancer")
    network: str = ""


@dataclass(frozen=True)
class Project:
    """The offers and resources of a project. `taken`: the resource of the cluster's name, by kind."""

    locations: Sequence[str]
    server_types: Sequence[ServerType]
    pricing: Pricing
    server: Server | None = None
    taken: Mapping[str, Named] = field(default_factory=dict)


@dataclass(frozen=True)
class Price:
    """Euros a month, net, by part; None if Hetzner's answer has no price for it."""

    parts: Mapping[str, float | None]

    @property
    def euros(self) -> float:
        """The sum of the known prices."""
        return round(sum(each or 0.0 for each in self.parts.values()), 2)

    def sentence(self, name: str) -> str:
        """Return one line for the operator."""
        known = ", ".join(f"{part} {euros:.2f}" for part, euros in self.parts.items() if euros is not None)
        unknown = [part for part, euros in self.parts.items() if euros is None]
        more = f"; Hetzner names no price for {', '.join(unknown)}" if unknown else ""
        return f"{name}  {self.euros:.2f} EUR a month without VAT, traffic and bucket ({known}){more}"


def token_problem(token: str) -> str:
    """Return the mistake in the form of a token; empty if there is none."""
    if len(token) == TOKEN_LETTERS:
        return ""
    return (
        f"gpu-fleet:hcloudToken has {len(token)} characters, and one of Hetzner Cloud has {TOKEN_LETTERS}. Make one in "
        "the console (Security, API tokens, Read & Write), and set it with: pulumi config set --secret gpu-fleet:hcloudToken"
    )


def moves(old: ClusterSpec | None, new: ClusterSpec) -> list[str]:
    """Return a sentence for each edit that an existing cluster cannot follow."""
    if old is None:
        return []
    stays = "nothing was changed. To move it, destroy the cluster first (docs/cluster.md)."
    found = []
    for key, before, after in (
        ("location", old.location, new.location),
        ("network", old.network, new.network),
        ("apiUrl", old.api_url, new.api_url),
    ):
        if before and before != after:
            found.append(f"gpu-fleet:cluster.{key} is {after!r}, and the cluster was made with {before!r}; {stays}")
    if new.volume_gb < old.volume_gb:
        found.append(
            f"gpu-fleet:cluster.volumeGb is {new.volume_gb}, and the volume has {old.volume_gb} GB; Hetzner shrinks none. "
            "Nothing was changed."
        )
    return found


def problems(spec: ClusterSpec, project: Project, stack_id: str | None, *, is_known: bool) -> list[str]:
    """Return a sentence for each thing that Hetzner would refuse, before anything is made or turned off.

    `stack_id` is None while it is unknown. `is_known`: state has the cluster, so that a resource of its name with its mark is
    no stranger.
    """
    return [*_place(spec, project), *_type(spec, project), *_names(spec, project, stack_id, is_known=is_known)]


def price_of(spec: ClusterSpec, pricing: Pricing) -> Price:
    """Return the cluster's price a month."""
    server = next((row for row in pricing.server_types if row.name == spec.server), None)
    address = next((row for row in pricing.primary_ips if row.type == "ipv4"), None)
    parts: dict[str, float | None] = {
        spec.server: server.in_place(spec.location) if server else None,
        "IPv4": address.in_place(spec.location) if address else None,
        f"volume of {spec.volume_gb} GB": pricing.volume.per_gb.net * spec.volume_gb if pricing.volume else None,
    }
    if spec.load_balancer:
        balancer = next((row for row in pricing.load_balancer_types if row.name == LOAD_BALANCER), None)
        parts["load balancer"] = balancer.in_place(spec.location) if balancer else None
    return Price(parts)


def _place(spec: ClusterSpec, project: Project) -> list[str]:
    if spec.location in project.locations:
        return []
    return [f"gpu-fleet:cluster.location is {spec.location!r}, and Hetzner has {', '.join(sorted(project.locations))}."]


def _type(spec: ClusterSpec, project: Project) -> list[str]:
    kind = next((one for one in project.server_types if one.name == spec.server), None)
    names = [one.name for one in project.server_types if one.architecture == "x86"]
    if kind is None or kind.architecture != "x86":
        near = difflib.get_close_matches(spec.server, names, n=3, cutoff=0.5) or sorted(names)
        return [
            f"gpu-fleet:cluster.server is {spec.server!r}, and Hetzner sells no such x86 type; take one of {', '.join(near)}."
        ]
    now = project.server
    if now and now.server_type and now.server_type.name == spec.server:
        return []
    if kind.is_sold_out(spec.location):
        others = [one.name for one in project.server_types if _fits(one, spec)]
        other = f"choose another: {ADVICE}.server {others[0]}" if others else "try again later"
        return [
            f"Hetzner has no {spec.server} left in {spec.location} now; nothing was turned off or made. Wait, or {other}"
        ]
    if now and now.disk > kind.disk > 0:
        smaller = f"{spec.server} has a disk of {kind.disk} GB, and the server's has {now.disk} GB"
        return [f"{smaller}; Hetzner shrinks none. Nothing was turned off."]
    return []


def _fits(kind: ServerType, spec: ClusterSpec) -> bool:
    place = [row for row in kind.locations if row.name == spec.location]
    return kind.architecture == "x86" and kind.name != spec.server and any(row.available is not False for row in place)


def _names(spec: ClusterSpec, project: Project, stack_id: str | None, *, is_known: bool) -> list[str]:
    found = []
    for kind, row in project.taken.items():
        what = kind.removesuffix("s").replace("_", " ")
        if row.owner and row.owner == stack_id:
            if not is_known:
                found.append(
                    f"the project has a {what} named {spec.name!r} (id {row.id}) with this stack's mark, which its state "
                    "does not know: an update was killed. Delete it in the console, and run pulumi up again."
                )
        elif not (is_known and stack_id is None):
            found.append(
                f"the project has a {what} named {spec.name!r} (id {row.id}) that this stack did not make; choose another "
                f"name: {ADVICE}.name NAME"
            )
    return found
