"""Bodies of the API's calls, as far as they act. A wrong one becomes `invalid_input` with its fields."""

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sandbox.hetzner.errors import HetznerError

LABEL = re.compile(r"([a-zA-Z0-9./_-]{1,253}/)?[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?\Z")
HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\Z"
)
USER_DATA_BYTES = 32 * 1024
PORT = re.compile(r"(any|\d{1,5}(-\d{1,5})?)\Z")


def _labels(value: dict[str, str]) -> dict[str, str]:
    if wrong := [key for key, text in value.items() if not LABEL.match(key) or (text and not LABEL.match(text))]:
        raise ValueError(f"invalid label {wrong[0]}")
    return value


def _network(value: str) -> str:
    found = ipaddress.ip_network(value)  # raises ValueError, also for bits behind the mask
    if found.version != 4 or not found.is_private:
        raise ValueError("must be a private IPv4 network")
    return value


def _source(value: str) -> str:
    ipaddress.ip_network(value)
    return value


def _host_name(value: str) -> str:
    if not HOST_NAME.match(value):
        raise ValueError("must be a valid hostname as per RFC 1123")
    return value


def _short(value: str) -> str:
    if len(value.encode()) > USER_DATA_BYTES:
        raise ValueError("must not be larger than 32 KiB")
    return value


def _port(value: str | None) -> str | None:
    if value is not None and not PORT.match(value):
        raise ValueError("must be a port, a range of ports, or any")
    return value


Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Network = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, AfterValidator(_host_name)]
Text = Annotated[str, Field(min_length=1, max_length=128)]


class Body(BaseModel):
    """A body. Keys without an effect are ignored."""

    model_config = ConfigDict(extra="ignore")


class Change(Body):
    """The body of PUT: a new name, new labels. `auto_delete` is of primary IPs alone."""

    name: Text | None = None
    labels: Labels | None = None
    auto_delete: bool | None = None


class Protection(Body):
    """The body of change_protection."""

    delete: bool | None = None
    rebuild: bool | None = None


class NewSshKey(Body):
    """A new SSH key."""

    name: Text
    public_key: str
    labels: Labels = {}


class Subnet(Body):
    """A subnet of a network; without `ip_range` the next free one."""

    type: Literal["cloud", "server", "vswitch"] = "cloud"
    network_zone: str
    ip_range: Network | None = None


class Route(Body):
    """A route of a network."""

    destination: str
    gateway: str


class NewNetwork(Body):
    """A new network."""

    name: Text
    ip_range: Network
    subnets: list[Subnet] = []
    routes: list[Route] = []
    labels: Labels = {}
    expose_routes_to_vswitch: bool = False


class Range(Body):
    """The body of change_ip_range and delete_subnet."""

    ip_range: Network


class Rule(Body):
    """A rule of a firewall."""

    direction: Literal["in", "out"]
    protocol: Literal["tcp", "udp", "icmp", "esp", "gre"]
    port: Annotated[str | None, AfterValidator(_port)] = None
    source_ips: list[Annotated[str, AfterValidator(_source)]] = []
    destination_ips: list[Annotated[str, AfterValidator(_source)]] = []
    description: str | None = None


class ServerId(Body):
    """A server by id."""

    id: int


class FirewallTarget(Body):
    """A server, or servers by label, that a firewall protects."""

    type: Literal["server", "label_selector"]
    server: ServerId | None = None
    label_selector: dict[str, str] | None = None


class NewFirewall(Body):
    """A new firewall."""

    name: Text
    rules: list[Rule] = Field([], max_length=50)
    apply_to: list[FirewallTarget] = []
    labels: Labels = {}


class Rules(Body):
    """The body of set_rules."""

    rules: list[Rule] = Field([], max_length=50)


class ApplyTo(Body):
    """The body of apply_to_resources."""

    apply_to: list[FirewallTarget]


class RemoveFrom(Body):
    """The body of remove_from_resources."""

    remove_from: list[FirewallTarget]


class NewPlacementGroup(Body):
    """A new placement group."""

    name: Text
    type: Literal["spread"]
    labels: Labels = {}


class PublicNet(Body):
    """The public addresses of a new server."""

    enable_ipv4: bool = True
    enable_ipv6: bool = True
    ipv4: int | None = None
    ipv6: int | None = None


class NewPrimaryIp(Body):
    """A new primary IP."""

    name: Text
    type: Literal["ipv4", "ipv6"]
    assignee_type: Literal["server", "unassigned"] | None = None
    assignee_id: int | None = None
    location: str | int | None = None
    auto_delete: bool = False
    labels: Labels = {}


class Assignment(Body):
    """The body of assign."""

    assignee_id: int


class FirewallId(Body):
    """A firewall by id."""

    firewall: int


class NewServer(Body):
    """A new server."""

    name: HostName
    server_type: str | int
    image: str | int
    location: str | int | None = None
    ssh_keys: list[str | int] = []
    user_data: Annotated[str, AfterValidator(_short)] = ""
    networks: list[int] = []
    firewalls: list[FirewallId] = []
    placement_group: int | None = None
    public_net: PublicNet = PublicNet()
    volumes: list[int] = []
    automount: bool = False
    start_after_create: bool = True
    labels: Labels = {}


class NewType(Body):
    """The body of change_type."""

    server_type: str | int
    upgrade_disk: bool = False


class Rebuild(Body):
    """The body of rebuild."""

    image: str | int


class Attachment(Body):
    """The body of attach_to_network and detach_from_network."""

    network: int
    ip: str | None = None


class NewVolume(Body):
    """A new volume; `size` in GB."""

    name: Text
    size: int = Field(ge=10, le=10240)
    location: str | int | None = None
    server: int | None = None
    format: Literal["ext4", "xfs"] | None = None
    automount: bool = False
    labels: Labels = {}


class Attach(Body):
    """The body of a volume's attach."""

    server: int
    automount: bool = False


class Resize(Body):
    """The body of resize; `size` in GB."""

    size: int = Field(ge=10, le=10240)


def read(model: type[Any], body: Any) -> Any:
    """Return a body as its model. Raises HetznerError that names the fields."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        rows: dict[str, list[str]] = {}
        for row in error.errors():
            message = str(row["msg"]).removeprefix("Value error, ")
            rows.setdefault(".".join(map(str, row["loc"])) or "body", []).append(message)
        fields = [{"name": name, "messages": messages} for name, messages in rows.items()]
        raise HetznerError(
            "invalid_input", f"invalid input in field '{fields[0]['name']}'", {"fields": fields}
        ) from None
