"""Events of the ledger, pure: an append-only record of what became of each attempt to bring an instance online.

An event is one object; its key sorts by time and says enough to choose by: when, which stack and instance, which outcome.
An event with money in it is written before the step that it announces, so that a process which dies in the next line has
said what it was about to do. Words are out of closed lists, because later versions and other stacks read them.
"""

import re
from datetime import UTC, datetime
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

VERSION = 1
_KEY = re.compile(r"(\d{4}-\d\d-\d\d)/(\d{6}\.\d{6})-([^./]+)\.([^./]+)\.([a-z-]+)\.[0-9a-f]+-\d+\.json\Z")


class Outcome(Enum):
    """What an event says about its attempt."""

    RENTING = "renting"  # the rent call follows
    TAKEN = "taken"  # the offer was gone; nothing was paid
    RENTED = "rented"
    ADOPTED = "adopted"  # an instance under our label goes on
    PASSED = "passed"  # a phase is through
    SERVED = "served"  # the end: it answered a completion
    FAILED = "failed"  # the end: it is going to be given back
    GIVEN_BACK = "given-back"
    STILL_RENTED = "still-rented"  # giving back was not confirmed
    ENDED = "ended"  # of an instance, not of an attempt; older versions leave it aside by its key


ENDS = frozenset({Outcome.SERVED, Outcome.FAILED})


class Reason(Enum):
    """Why an attempt failed: every `reason` of bootstrap's errors, of the market's and of an instance's state."""

    BOOT = "boot"
    LOG = "log"
    IMAGE = "image"
    OFFLINE = "offline"
    STOPPED = "stopped"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    HOST_KEY = "host-key"
    HOST = "host"
    GPU = "gpu"
    SHM = "shm"
    DISK = "disk"
    SLOW = "slow"
    CPU = "cpu"
    MEMORY = "memory"
    CLOCK = "clock"
    SYSTEM = "system"
    FETCH = "fetch"
    STEP = "step"
    ENGINE = "engine"
    GATE = "gate"
    # From here on no machine is to blame.
    TIME = "time"
    SURPLUS = "surplus"
    TAKEN = "taken"
    ARGUMENTS = "arguments"
    WEIGHTS = "weights"
    STORE = "store"
    SPEC = "spec"
    REGISTRY = "registry"
    OURS = "ours"
    BOOTSTRAP = "bootstrap"
    MARKET = "market"
    INTERRUPTED = "interrupted"
    UNFORESEEN = "unforeseen"

    @property
    def blames_machine(self) -> bool:
        """Say whether another machine might have done better."""
        return self not in _BLAMELESS


_BLAMELESS = frozenset(
    {
        Reason.TIME,
        Reason.SURPLUS,
        Reason.TAKEN,
        Reason.ARGUMENTS,
        Reason.WEIGHTS,
        Reason.STORE,
        Reason.SPEC,
        Reason.REGISTRY,
        Reason.OURS,
        Reason.BOOTSTRAP,
        Reason.MARKET,
        Reason.INTERRUPTED,
        Reason.UNFORESEEN,
    }
)


class Event(BaseModel):
    """One thing that happened in one attempt. Times in unix seconds, prices in $/h all-in.

    `usd`: $ since it was rented. Until the instance runs that is its disk and the image's traffic (`image_usd`). Of an
    instance that ended, `seconds` and `usd` are the whole time for which it was rented, at its price.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a later version may say more

    version: int = VERSION
    at: float
    stack_id: str
    name: str  # <fleet>-<index>
    attempt: str = Field(pattern=r"^[0-9a-f]{1,32}$")
    step: int  # counts the events of an attempt
    outcome: Outcome
    reason: Reason | None = None
    phase: str | None = None  # the last one that was through, a verb such as "wait" or "fetch weights"
    message: str = ""
    offer_id: int | None = None
    machine_id: int | None = None
    host_id: int | None = None
    instance_id: int | None = None
    usd_per_hour: float | None = None
    seconds: float = 0.0  # since the attempt began
    usd: float = 0.0
    image_usd: float = 0.0
    advertised_mbps: float | None = None
    download_mbps: float | None = None  # as measured on the weights
    boot_seconds: float | None = None  # rent -> running, by the market's clock
    phases: dict[str, float] = Field(default_factory=dict)  # of one that served: how long each took, in seconds

    @property
    def key(self) -> str:
        """Return where it is kept: `<day>/<time>-<stack id>.<name>.<outcome>.<attempt>-<step>.json`, below some folder."""
        moment = datetime.fromtimestamp(self.at, UTC)
        who = f"{self.stack_id}.{self.name}.{self.outcome.value}.{self.attempt}-{self.step}"
        return f"{moment:%Y-%m-%d}/{moment:%H%M%S.%f}-{who}.json"

    @property
    def log_key(self) -> str:
        """Return where the log that belongs to it is kept, beside it; no reader of events takes it for one."""
        return f"{self.key.removesuffix('.json')}-log.txt"


class KeyParts(BaseModel):
    """What a key says without its object being read."""

    model_config = ConfigDict(frozen=True)

    day: str
    stack_id: str
    name: str
    outcome: Outcome


def parse_key(key: str) -> KeyParts | None:
    """Read a key below the ledger's folder; None for anything that is not one of ours or of a later version."""
    found = _KEY.match(key)
    if not found:
        return None
    day, _time, stack_id, name, outcome = found.groups()
    try:
        return KeyParts(day=day, stack_id=stack_id, name=name, outcome=Outcome(outcome))
    except ValueError:
        return None


def parse(text: str) -> Event | None:
    """Read an event; None for what is damaged or of a later version: one bad object must not cost the rest."""
    try:
        event = Event.model_validate_json(text)
    except ValidationError:
        return None
    return event if event.version == VERSION else None
