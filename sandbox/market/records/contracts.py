"""One rental: the request, the machine, and its progress."""

import itertools
import re
import secrets
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sandbox.faults import Subject
from sandbox.hosts.spec import Host, Traffic
from sandbox.market.records.machines import Machine
from sandbox.market.records.meter import Meter
from sandbox.market.records.registries import login_of

LONGEST_SCRIPT = 4096  # characters of onstart and arguments together
SSH_PORT = 22
ENTRY_POINT = ["vllm", "serve"]  # of vLLM's image
SHELL = "/bin/bash"  # the command of an image without one; it ends at once, because its input is empty
NO_PROXY = 1  # a port of loopback without a listener
GIGABYTE = 2**30  # the market's gigabyte: a terabyte's price is 1024 times a gigabyte's
PORT_FLAG = re.compile(r"-p (\d+):(\d+)(?:/(tcp|udp))?")

FLAGS = ("-e", "-p", "-v", "-n", "-h")  # docker's flags in `env`; the market drops others

Phase = Literal["booting", "up", "stopped", "failed", "exited", "offline"]


class Request(BaseModel):
    """The body of the rent call; keys without an effect are ignored."""

    model_config = ConfigDict(extra="ignore")

    image: str = Field(max_length=1024, min_length=1)
    env: dict[str, str] = Field(default_factory=dict)
    disk: float = Field(default=8.0, ge=8)
    label: str | None = Field(default=None, max_length=256)
    onstart: str | None = None
    runtype: str = "ssh"
    args: list[str] | None = None
    args_str: str | None = None
    price: float | None = None
    target_state: Literal["running", "stopped"] = "running"
    cancel_unavail: bool = True
    image_login: str | None = Field(default=None, repr=False)

    @field_validator("env", mode="before")
    @classmethod
    def _object(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, str):
            return of_flags(value)
        return {str(key): str(one) for key, one in value.items()} if isinstance(value, dict) else value

    @field_validator("image_login")
    @classmethod
    def _flags(cls, value: str | None) -> str | None:
        login_of(value)
        return value

    @model_validator(mode="after")
    def _short_enough(self) -> "Request":
        words = [self.onstart or "", self.args_str or "", *(self.args or [])]
        if sum(map(len, words)) > LONGEST_SCRIPT:
            raise ValueError(f"onstart and args together are longer than {LONGEST_SCRIPT} characters")
        return self

    @property
    def takes_logins(self) -> bool:
        """True if the market puts an SSH server into the container."""
        return self.runtype != "args"

    @property
    def direct_ssh(self) -> bool:
        """True if the machine maps port 22 to one of its ports."""
        return "ssh_direc" in self.runtype

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables, without the docker flags in the same object."""
        return {key: value for key, value in self.env.items() if not key.startswith("-")}

    @property
    def command(self) -> tuple[str, ...]:
        """The command in place of sshd and onstart, for the runtype with the image's own command; empty for the
        others.

        `onstart` replaces the image's entry point.
        """
        if self.takes_logins:
            return ()
        entry = shlex.split(self.onstart or "") or (ENTRY_POINT if "vllm" in self.image else [])
        return (*entry, *(self.args or shlex.split(self.args_str or ""))) or (SHELL,)

    @property
    def tcp_ports(self) -> list[int]:
        """The container TCP ports to publish; 22 comes first if SSH is direct."""
        return list(dict.fromkeys([*([SSH_PORT] if self.direct_ssh else []), *self._asked("tcp")]))

    @property
    def udp_ports(self) -> list[int]:
        """Container UDP ports to publish."""
        return list(dict.fromkeys(self._asked("udp")))

    def _asked(self, kind: str) -> list[int]:
        flags = [match for key in self.env if (match := PORT_FLAG.fullmatch(key))]
        return [int(match[2]) for match in flags if (match[3] or "tcp") == kind]


def of_flags(text: str) -> dict[str, str]:
    """Convert docker's flags in one text into the object form. Raises ValueError for an open quote."""
    words = shlex.split(text)
    found: dict[str, str] = {}
    for flag, value in itertools.pairwise(words):
        if flag == "-e":
            name, _, content = value.partition("=")
            found[name] = content
        elif flag in FLAGS:
            found.update({flag: value} if flag in ("-h", "-n") else {f"{flag} {value}": "1"})
    return found


@dataclass
class Contract:
    """One rental. Moments are emulated unix seconds. Change it only with the market's lock held."""

    id: int
    machine: Machine
    request: Request
    meter: Meter
    born: float
    due: float  # when the machine has pulled the image and starts the container
    phase: Phase = "booting"
    message: str = ""
    label: str | None = None
    first_boot: bool = True
    never_boots: bool = False
    rebooting_until: float = 0.0  # a restart loads from this moment on
    ends: float = 0.0  # the contract, with the landlord's offer
    announced_price: tuple[float, float] | None = None  # when a higher price was announced, and the GPUs' new $/h
    starting: bool = False  # a thread works on the host
    destroyed: bool = False
    up_since: float | None = None
    host: Host | None = None
    earlier_traffic: Traffic = field(default_factory=Traffic)  # by hosts that it had before
    keys: dict[int, str] = field(default_factory=dict)
    # A fault's false values for its row, field -> value.
    false_fields: dict[str, Any] = field(default_factory=dict)
    given_up: bool = False  # the market no longer tries to start it
    holds_gpu: bool = True  # False after a too low bid: another account may rent the machine
    proxy_port: int = NO_PROXY  # of the market's SSH proxy
    hidden_until: float = 0.0  # until then reads do not show the contract
    row: dict[str, Any] = field(default_factory=dict, repr=False)  # the part of its row that never changes
    api_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    def __post_init__(self) -> None:
        self.ends = self.ends or self.born + self.machine.lease_seconds

    @property
    def intended(self) -> str:
        """The market's goal: running or stopped."""
        return "stopped" if self.phase == "stopped" or self.given_up else "running"

    @property
    def subject(self) -> Subject:
        """The instance as faults identify it."""
        return Subject(self.id, self.label)

    def is_due(self, now: float) -> bool:
        """Return whether it is time to start the container."""
        return self.phase == "booting" and self.due <= now and not self.starting and not self.never_boots

    def items(self, now: float) -> dict[str, float]:
        """Return its cost so far in $, by the market's names: gpu, disk, bwd and bwu (bytes down and up).

        The market bills bytes as they are, at any speed of time.
        """
        traffic = self.traffic(self.host)
        per_byte = self.machine.traffic_cost / GIGABYTE
        return {**self.meter.items(now), "bwd": traffic.down * per_byte, "bwu": traffic.up * per_byte}

    def traffic(self, host: Host | None) -> Traffic:
        """Return the bytes of all its hosts; `host` is the current one."""
        more = host.traffic if host is not None else Traffic()
        return Traffic(self.earlier_traffic.down + more.down, self.earlier_traffic.up + more.up)

    def usd(self, now: float) -> float:
        """Return its cost so far in $."""
        return sum(self.items(now).values())

    @cached_property
    def published(self) -> tuple[int, ...]:
        """The container ports that the machine maps, up to the number of its ports."""
        return tuple(self.request.tcp_ports[: self.machine.direct_ports])

    @cached_property
    def published_udp(self) -> tuple[int, ...]:
        """The UDP ports that the machine maps, after those of TCP."""
        return tuple(self.request.udp_ports[: self.machine.direct_ports - len(self.published)])
