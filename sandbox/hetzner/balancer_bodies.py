"""Bodies of the calls about load balancers."""

from typing import Any, Literal

from pydantic import Field, model_validator

from sandbox.hetzner.bodies import Body, Labels, ServerId, Text

Port = Field(ge=1, le=65535)


class HealthCheck(Body):
    """How a load balancer looks at its targets; times in seconds."""

    protocol: Literal["tcp", "http", "https"] = "tcp"
    port: int = Port
    interval: int = Field(15, ge=3, le=60)
    timeout: int = Field(10, ge=1, le=60)
    retries: int = Field(3, ge=1, le=5)


class NewService(Body):
    """A new service. Only those of protocol tcp are emulated."""

    protocol: Literal["tcp", "http", "https"]
    listen_port: int = Port
    destination_port: int = Port
    proxyprotocol: bool = False
    health_check: HealthCheck | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_ports(cls, value: Any) -> Any:
        """Fill in the ports that http and https have by default."""
        usual = {"http": 80, "https": 443}.get(str(value.get("protocol"))) if isinstance(value, dict) else None
        return value if usual is None else {"listen_port": usual, "destination_port": 80, **value}


class HealthCheckChange(Body):
    """The changed fields of a health check."""

    protocol: Literal["tcp", "http", "https"] | None = None
    port: int | None = Field(None, ge=1, le=65535)
    interval: int | None = Field(None, ge=3, le=60)
    timeout: int | None = Field(None, ge=1, le=60)
    retries: int | None = Field(None, ge=1, le=5)


class ServiceChange(Body):
    """The body of update_service: the port names the service, the other fields replace its own."""

    listen_port: int = Port
    protocol: Literal["tcp", "http", "https"] | None = None
    destination_port: int | None = Field(None, ge=1, le=65535)
    proxyprotocol: bool | None = None
    health_check: HealthCheckChange | None = None


class ListenPort(Body):
    """The body of delete_service."""

    listen_port: int = Port


class Target(Body):
    """A target, in add_target and remove_target. Only servers are emulated."""

    type: Literal["server", "label_selector", "ip"]
    server: ServerId | None = None
    use_private_ip: bool = False


class Algorithm(Body):
    """How connections are shared out."""

    type: Literal["round_robin", "least_connections"] = "round_robin"


class NewLoadBalancer(Body):
    """A new load balancer."""

    name: Text
    load_balancer_type: str | int
    location: str | int | None = None
    network_zone: str | None = None
    network: int | None = None
    services: list[NewService] = Field([])
    targets: list[Target] = Field([])
    algorithm: Algorithm = Algorithm()
    public_interface: bool = True
    labels: Labels = Field({})


class NewBalancerType(Body):
    """The body of change_type."""

    load_balancer_type: str | int
