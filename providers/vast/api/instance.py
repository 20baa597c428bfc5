"""An instance as the market reports it; pure: validation, classification and address.

The market uses words of its own (`actual_status`, `intended_status`, ...). `classify` turns them into three answers
that a waiting loop can act on.

Sources: the market's self-test calls an instance up if intended and actual status are `running` and address and ports
exist. The failure texts are those of the market's own test tooling.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from providers.vast.api.rows import set_aside

# The registry asks for a login, or for another one. Every machine would get this, or this landlord has a wrong login.
REGISTRY_TEXTS = ("pull access denied", "unauthorized", "no basic auth credentials", "requested access to the resource")
# The image does not exist, or not for these machines. No machine could pull it.
MISSING_TEXTS = (
    "manifest unknown",
    "manifest_unknown",
    "name unknown",
    "name_unknown",
    "repository name not known to registry",
    "no matching manifest",
    "invalid reference format",
)
FAILURE_TEXTS = (
    "error response from daemon",
    "failed to pull image",
    "no space left on device",
    "unexpected eof",
    "oci runtime",
)
NO_SUCH_IMAGE = "ours"  # the ledger's word for a fault of ours, which every machine would meet
LOGIN_ADVICE = "A private image needs registry.server, registry.user and registry.password of the fleet"
DOWN = ("exited", "stopped", "offline")  # words of `actual_status` for an instance that does not recover by itself
SSH_PORT = 22


class PortBinding(BaseModel):
    """One published port in Docker's form. The market sends the number as a string."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    HostIp: str = "0.0.0.0"  # noqa: S104 -- the market's spelling, not an address to bind
    HostPort: int

    @field_validator("HostIp", mode="before")
    @classmethod
    def _every_address(cls, value: Any) -> Any:
        return value or "0.0.0.0"  # noqa: S104 -- as above


class Instance(BaseModel):
    """One row of `GET /instances/`, used fields only. Validation ignores unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    actual_status: str | None = None
    intended_status: str | None = None
    cur_state: str | None = None
    next_state: str | None = None
    status_msg: str | None = None
    label: str | None = None
    image_uuid: str | None = None
    machine_id: int | None = None
    gpu_name: str | None = None
    num_gpus: int | None = None
    gpu_ram: float | None = None  # MB a GPU
    disk_space: float | None = None  # GB
    dph_total: float | None = None  # $/h: GPUs and disk
    inet_down: float | None = None  # Mb/s, as advertised
    inet_down_cost: float | None = None  # $/GB
    geolocation: str | None = None
    start_date: float | None = None  # unix seconds
    end_date: float | None = None  # unix seconds, when the contract ends
    public_ipaddr: str | None = None
    ports: dict[str, list[PortBinding]] = Field(default_factory=dict)

    @field_validator("label", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # The market was seen to send labels as numbers; no label of ours is a number.
        return str(value) if isinstance(value, int | float) else value

    @field_validator("end_date")
    @classmethod
    def _believable(cls, value: float | None, info: ValidationInfo) -> float | None:
        # The market sends zero, or an end before the start, if it knows no end.
        return value if value and value > max(0.0, info.data.get("start_date") or 0.0) else None

    @field_validator("ports", mode="before")
    @classmethod
    def _only_docker_form(cls, value: Any) -> Any:
        # The market was seen to answer a single read with a plain list of numbers. It maps nothing, so we use only the
        # Docker form. A port without a number is not mapped yet.
        if not isinstance(value, dict):
            return {}
        return {
            key: [row for row in rows if _is_mapped(row)] if isinstance(rows, list) else []
            for key, rows in value.items()
        }

    @field_validator("public_ipaddr")
    @classmethod
    def _strip(cls, value: str | None) -> str | None:
        return value.strip() if value else None

    def address(self, container_port: int) -> tuple[str, int] | None:
        """Return (public IP, external port) of a container port; None if the market has not mapped it yet."""
        rows = self.ports.get(f"{container_port}/tcp") or []
        ipv4 = [row for row in rows if ":" not in row.HostIp] or rows
        return (self.public_ipaddr, ipv4[0].HostPort) if ipv4 and self.public_ipaddr else None


def _is_mapped(row: Any) -> bool:
    return not isinstance(row, dict) or row.get("HostPort") not in ("", None)


def all_known(rows: Iterable[Instance]) -> list[Instance]:
    """Return a list's rows, and a bare instance (id, label) for each row that did not parse but has both."""
    doubtful = [Instance(id=one.id, label=one.label) for one in set_aside(rows) if one.id is not None and one.label]
    return [*rows, *doubtful]


@dataclass(frozen=True)
class Pending:
    """The instance is not up yet; `status` is the market's word for its state."""

    status: str


@dataclass(frozen=True)
class Running:
    """The instance is up and has an address. SSH or the gate may not answer yet."""


@dataclass(frozen=True)
class Failed:
    """The instance will not recover by itself. `reason` is a word of the ledger, `message` quotes the market."""

    reason: str
    message: str


def classify(instance: Instance, gate_port: int) -> Pending | Running | Failed:
    """Return whether to wait (Pending), to connect (Running) or to give back (Failed).

    A failure text counts only while the instance is not up, because the row keeps the text of an instance that came up
    later. It does not count at status `unknown` either: the market got no heartbeat, so the text is an older one.
    """
    status = instance.actual_status or "scheduled"
    message = (instance.status_msg or "").strip()
    if instance.intended_status == "stopped" or instance.cur_state == "stopped":
        return Failed("stopped", f"the market stopped it: {message or status}")
    if status == "running" and instance.address(SSH_PORT) and instance.address(gate_port):
        return Running()
    if status == "unknown":
        return Pending(status)
    if any(text in message.lower() for text in REGISTRY_TEXTS):
        return Failed("registry", f"its registry refuses the image: {message}. {LOGIN_ADVICE}")
    if any(text in message.lower() for text in MISSING_TEXTS):
        return Failed(NO_SUCH_IMAGE, f"its registry has no such image: {message}")
    if any(text in message.lower() for text in FAILURE_TEXTS):
        return Failed("image", f"the image does not start: {message}")
    if status in DOWN:
        return Failed("offline", f"the market reports it as {status}: {message or 'no text'}")
    return Pending(status)


def unsound(instance: Instance, image: str, gpu_names: tuple[str, ...], gpu_count: int, disk_gb: float) -> list[str]:
    """Return the reasons not to adopt an instance with our label; an empty list means that the market shows none.

    A fresh contract reports no image, GPU or disk yet, so an absent value is no reason.
    """
    flaws = []
    if instance.image_uuid and instance.image_uuid != image:
        flaws.append(f"runs image {instance.image_uuid} instead of {image}")
    other_count = instance.num_gpus is not None and instance.num_gpus != gpu_count
    if instance.gpu_name and (instance.gpu_name not in gpu_names or other_count):
        flaws.append(
            f"has {instance.num_gpus or 'some'} x {instance.gpu_name} instead of {gpu_count} x {' or '.join(gpu_names)}"
        )
    if instance.disk_space and instance.disk_space + 0.5 < disk_gb:
        flaws.append(f"has {instance.disk_space:.0f} GB of disk instead of {disk_gb:.0f}")
    if instance.intended_status == "stopped" or instance.actual_status in DOWN:
        flaws.append(f"is {instance.actual_status or instance.intended_status}")
    return flaws
