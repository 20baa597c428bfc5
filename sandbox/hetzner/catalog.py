"""The catalog of the emulated Hetzner: locations, server types with prices and stock, images, load balancers.

Names, sizes and prices follow Hetzner's public price list of May 2026 (net euros a month). Later prices are not known here,
and the price of lb21 is from memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from sandbox.hetzner.errors import HetznerError

HOURS_A_MONTH = 624  # after so many hours Hetzner charges the monthly price
VAT = 1.19
ZONE = "eu-central"


@dataclass(frozen=True)
class Location:
    """A location of the zone eu-central."""

    id: int
    name: str
    city: str
    country: str

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": f"{self.city} DC Park 1",
            "city": self.city,
            "country": self.country,
            "latitude": 50.0,
            "longitude": 11.0,
            "network_zone": ZONE,
        }


@dataclass(frozen=True)
class ServerType:
    """A server type: memory in GB, disk in GB, net euros a month. `sold_out`: locations without stock."""

    id: int
    name: str
    cores: int
    memory: float
    disk: int
    euros: float
    architecture: str = "x86"
    sold_out: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.name.upper(),
            "cores": self.cores,
            "memory": self.memory,
            "disk": self.disk,
            "deprecated": False,
            "deprecation": None,
            "category": "Cost-Optimized",
            "storage_type": "local",
            "cpu_type": "shared",
            "architecture": self.architecture,
            "prices": prices(self.euros),
            "locations": [
                {
                    "id": place.id,
                    "name": place.name,
                    "available": place.name not in self.sold_out,
                    "recommended": place.name not in self.sold_out,
                    "deprecation": None,
                }
                for place in LOCATIONS
            ],
        }


@dataclass(frozen=True)
class Image:
    """A system image."""

    id: int
    name: str
    flavor: str
    version: str
    architecture: str = "x86"

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": self.id,
            "type": "system",
            "status": "available",
            "name": self.name,
            "description": self.name,
            "image_size": None,
            "disk_size": 5,
            "created": "2026-01-01T00:00:00+00:00",
            "created_from": None,
            "bound_to": None,
            "os_flavor": self.flavor,
            "os_version": self.version,
            "rapid_deploy": True,
            "protection": {"delete": False},
            "deprecated": None,
            "deleted": None,
            "labels": {},
            "architecture": self.architecture,
        }


@dataclass(frozen=True)
class LoadBalancerType:
    """A type of load balancer; net euros a month."""

    id: int
    name: str
    euros: float
    services: int
    targets: int

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.name.upper(),
            "max_connections": 10000,
            "max_services": self.services,
            "max_targets": self.targets,
            "max_assigned_certificates": 10,
            "deprecated": None,
            "prices": prices(self.euros),
        }


LOCATIONS = (
    Location(1, "fsn1", "Falkenstein", "DE"),
    Location(2, "nbg1", "Nuremberg", "DE"),
    Location(3, "hel1", "Helsinki", "FI"),
)
SERVER_TYPES = (
    ServerType(114, "cx23", 2, 4.0, 40, 3.99),
    ServerType(115, "cx33", 4, 8.0, 80, 6.49),
    ServerType(116, "cx43", 8, 16.0, 160, 11.99),
)
IMAGES = (
    Image(114690387, "debian-12", "debian", "12"),
    Image(161547269, "ubuntu-24.04", "ubuntu", "24.04"),
)
LOAD_BALANCER_TYPES = (LoadBalancerType(1, "lb11", 5.39, 5, 25), LoadBalancerType(2, "lb21", 16.40, 15, 75))
VOLUME_EUROS_A_GB, IPV4_EUROS = 0.0572, 0.50


class Named(Protocol):
    """What calls refer to by name or by id."""

    @property
    def id(self) -> int:
        """The id."""

    @property
    def name(self) -> str:
        """The name."""


Row = TypeVar("Row", bound=Named)


def named(kind: str, rows: Iterable[Row], name: str | int) -> Row:
    """Return the row with that name or id. Raises HetznerError."""
    found = next((one for one in rows if str(name) in (one.name, str(one.id))), None)
    if found is None:
        raise HetznerError("not_found", f"{kind} '{name}' not found")
    return found


@dataclass
class Catalog:
    """The server types on sale. `sell_out` takes a server type out of stock in a location; `restock` puts it back."""

    server_types: list[ServerType] = field(default_factory=lambda: list(SERVER_TYPES))

    def sell_out(self, name: str, location: str) -> None:
        """Take a server type out of stock in a location."""
        self._change(name, lambda one: replace(one, sold_out=one.sold_out | {location}))

    def restock(self, name: str, location: str) -> None:
        """Put a server type back into stock in a location."""
        self._change(name, lambda one: replace(one, sold_out=one.sold_out - {location}))

    def _change(self, name: str, change: Any) -> None:
        self.server_types = [change(one) if one.name == name else one for one in self.server_types]

    def pricing(self) -> dict[str, Any]:
        """Return the answer of GET /pricing."""
        types = [{"id": one.id, "name": one.name, "prices": prices(one.euros)} for one in self.server_types]
        balancers = [{"id": one.id, "name": one.name, "prices": prices(one.euros)} for one in LOAD_BALANCER_TYPES]
        ipv4 = {"type": "ipv4", "prices": prices(IPV4_EUROS)}
        return {
            "currency": "EUR",
            "vat_rate": f"{(VAT - 1) * 100:.6f}",
            "server_types": types,
            "load_balancer_types": balancers,
            "primary_ips": [ipv4, {"type": "ipv6", "prices": prices(0.0)}],
            "floating_ips": [],
            "image": {"price_per_gb_month": money(0.0143)},
            "volume": {"price_per_gb_month": money(VOLUME_EUROS_A_GB)},
            "server_backup": {"percentage": "20.000000"},
        }


def everywhere(one: ServerType) -> ServerType:
    """Return a server type as it is if no location has one left."""
    return replace(one, sold_out=frozenset(place.name for place in LOCATIONS))


def money(euros: float) -> dict[str, str]:
    """Return a price as the API shows it: decimal strings, net and gross."""
    return {"net": f"{euros:.10f}", "gross": f"{euros * VAT:.16f}"}


def prices(euros: float) -> list[dict[str, Any]]:
    """Return a monthly price for each location."""
    return [
        {
            "location": place.name,
            "price_hourly": money(euros / HOURS_A_MONTH),
            "price_monthly": money(euros),
            "included_traffic": 21990232555520,
            "price_per_tb_traffic": money(1.0),
        }
        for place in LOCATIONS
    ]
