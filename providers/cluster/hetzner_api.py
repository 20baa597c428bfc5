"""Ask the Hetzner Cloud API for facts that Pulumi's plugin does not tell before it acts.

They are stock, prices, names, and whether a server runs.

The client validates every answer, and skips rows that do not parse. The token travels in a header only.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap.clock import Clock
from providers.cluster.errors import ClusterError, HetznerDown, HetznerRefused
from providers.cluster.names import OWNER

TIMEOUT_SECONDS = 20.0
TRIES, PAUSE_SECONDS = 4, 1.0
AGAIN = frozenset(
    {"conflict", "locked", "rate_limit_exceeded", "timeout", "service_error"}
)  # as official clients, and locked
POLL_SECONDS, ACTION_SECONDS = 1.0, 300.0
PER_PAGE = 50


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Euros(_Row):
    """A price, net, as the API writes it: a decimal text."""

    net: float


class PlacePrice(_Row):
    """A monthly price in one location."""

    location: str
    monthly: Euros = Field(alias="price_monthly")


class Priced(_Row):
    """The prices of one type of server, load balancer or address."""

    name: str = Field(validation_alias="name", default="")
    type: str = ""
    prices: tuple[PlacePrice, ...] = ()

    def in_place(self, location: str) -> float | None:
        """Return the euros a month in a location; None if the answer has none."""
        return next((row.monthly.net for row in self.prices if row.location == location), None)


class VolumePrice(_Row):
    """The price of a volume."""

    per_gb: Euros = Field(alias="price_per_gb_month")


class Pricing(_Row):
    """The answer of GET /pricing, without the products that a cluster does not use."""

    currency: str = "EUR"
    server_types: tuple[Priced, ...] = ()
    load_balancer_types: tuple[Priced, ...] = ()
    primary_ips: tuple[Priced, ...] = ()
    volume: VolumePrice | None = None


class Stock(_Row):
    """Whether a server type can be had in a location; None if the API does not say."""

    name: str
    available: bool | None = None


class ServerType(_Row):
    """A server type: disk in GB."""

    name: str
    architecture: str = "x86"
    disk: int = 0
    locations: tuple[Stock, ...] = ()

    def is_sold_out(self, location: str) -> bool:
        """Say whether the API says that the type cannot be had in a location now."""
        return any(row.name == location and row.available is False for row in self.locations)


class Named(_Row):
    """A resource of any kind: id, name, labels."""

    id: int
    name: str
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The id of the stack that made it; empty if none of ours did."""
        return self.labels.get(OWNER, "")


class TypeName(_Row):
    """The type of a server."""

    name: str


class Server(Named):
    """A server: its status is `running`, `off`, `starting` and so on. `disk`: GB of its disk; 0 if the API does not say."""

    status: str = ""
    server_type: TypeName | None = None
    disk: int = Field(0, alias="primary_disk_size")


class Action(_Row):
    """The work that the API goes on with after its answer."""

    id: int
    status: str
    error: dict[str, Any] | None = None


Row = TypeVar("Row", bound=_Row)


class HetznerApi:
    """One project at Hetzner. Raises HetznerRefused, HetznerDown. Tests pass their own `transport`."""

    def __init__(self, url: str, token: str, clock: Clock, transport: httpx.BaseTransport | None = None) -> None:
        self._url, self._clock = url, clock
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "gpu-fleet"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, transport=transport)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def confirm_writable(self) -> None:
        """Raise HetznerRefused if the token opens nothing or may only read.

        The API has no call that tells. So it is asked to make an SSH key out of nothing, which it refuses in any case.
        """
        try:
            self._ask("POST", "/ssh_keys", {})
        except HetznerRefused as error:
            if error.code in {"unauthorized", "forbidden", "token_readonly"}:
                raise

    def locations(self) -> list[str]:
        """Return the names of all locations."""
        return [row.name for row in self._list("locations", TypeName)]

    def server_types(self) -> list[ServerType]:
        """Return all server types."""
        return list(self._list("server_types", ServerType))

    def pricing(self) -> Pricing:
        """Return all prices."""
        return _read(Pricing, self._ask("GET", "/pricing").get("pricing"))

    def named(self, kind: str, name: str) -> Named | None:
        """Return the resource of that name, of a kind such as `networks`; None if there is none."""
        return next(iter(self._list(kind, Named, name=name)), None)

    def server_named(self, name: str) -> Server | None:
        """Return the server of that name; None if there is none."""
        return next(iter(self._list("servers", Server, name=name)), None)

    def server(self, number: str) -> Server:
        """Return a server by its id."""
        return _read(Server, self._ask("GET", f"/servers/{number}").get("server"))

    def power_on(self, number: str) -> None:
        """Turn a server on, and wait until Hetzner has done so. Raises ClusterError if it does not within five minutes."""
        action = _read(Action, self._ask("POST", f"/servers/{number}/actions/poweron").get("action"))
        deadline = self._clock.monotonic() + ACTION_SECONDS
        while action.status == "running":
            if self._clock.monotonic() > deadline:
                raise ClusterError(f"Hetzner did not turn server {number} on within {ACTION_SECONDS:.0f} s")
            self._clock.sleep(POLL_SECONDS)
            action = _read(Action, self._ask("GET", f"/actions/{action.id}").get("action"))
        if action.status != "success":
            why = (action.error or {}).get("message", action.status)
            raise ClusterError(f"Hetzner could not turn server {number} on: {why}")

    def _list(self, kind: str, model: type[Row], **filters: str) -> Iterator[Row]:
        page: int | None = 1
        while page:
            answer = self._ask("GET", f"/{kind}", params={**filters, "page": page, "per_page": PER_PAGE})
            for row in answer.get(kind) or []:
                try:
                    yield model.model_validate(row)
                except ValidationError:
                    continue  # one row that this version does not understand says nothing of the others
            following = (answer.get("meta") or {}).get("pagination", {}).get("next_page")
            page = following if isinstance(following, int) and following > page else None

    def _ask(self, method: str, path: str, body: Any = None, params: Any = None) -> dict[str, Any]:
        """Return the answer's object. Asks again after a trouble that passes by itself."""
        for left in reversed(range(TRIES)):
            try:
                answer = self._http.request(method, path, json=body, params=params)
                document = answer.json()
            except (httpx.HTTPError, ValueError) as error:
                trouble: ClusterError = HetznerDown(f"{self._url} does not answer ({type(error).__name__})")
            else:
                if answer.is_success and isinstance(document, dict):
                    return document
                trouble = _trouble(self._url, answer.status_code, document)
                if not (isinstance(trouble, HetznerDown) or getattr(trouble, "code", "") in AGAIN):
                    raise trouble
            if not left:
                raise trouble
            self._clock.sleep(PAUSE_SECONDS * (TRIES - left))
        raise AssertionError


def _trouble(url: str, status: int, document: Any) -> ClusterError:
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return HetznerDown(f"{url} answers {status} and no reason")
    return HetznerRefused(error["code"], f"Hetzner refuses: {error.get('message') or 'no reason'} ({error['code']})")


def _read(model: type[Row], document: Any) -> Row:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, row["loc"])) or "all of it" for row in error.errors(include_input=False))
        raise HetznerDown(f"Hetzner's answer cannot be read: {fields}") from None
