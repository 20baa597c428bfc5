"""Define the ledger's events, pure: an append-only record of each attempt to bring an instance online.

An event is one object. Its key sorts by time and names the stack, the instance and the outcome, so that readers choose
by key. An event about money is written before the step that it announces. A process that dies in the next line has
then recorded its intention. Outcomes and reasons come from closed lists, because later versions and other stacks read them.
"""

import re
from datetime import UTC, datetime
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

VERSION = 1
_KEY = re.compile(r"(\d{4}-\d\d-\d\d)/(\d{6}\.\d{6})-([^./]+)\.([^./]+)\.([a-z-]+)\.[0-9a-f]+-\d+\.json\Z")


class Outcome(Enum):
    """Name an event's kind: how its attempt went on or ended."""

    RENTING = "renting"  # the rent call follows
    TAKEN = "taken"  # the offer was gone; nothing was paid
    RENTED = "rented"
    ADOPTED = "adopted"  # the create continues with an instance that already has our label
    PASSED = "passed"  # a phase is complete
    SERVED = "served"  # the attempt's end: the instance answered a completion
    FAILED = "failed"  # the attempt's end: the create gives the instance back next
    GIVEN_BACK = "given-back"
    STILL_RENTED = "still-rented"  # the market did not confirm that the instance is gone
    ENDED = "ended"  # the end of an instance, not of an attempt; older versions skip it by its key
    DECIDED = "decided"  # a decision of the controller about a slot, and why; older versions skip it by its key


ENDS = frozenset({Outcome.SERVED, Outcome.FAILED})


class Reason(Enum):
    """Name why an attempt failed: every `reason` of bootstrap's errors, of the market's errors and of an instance's state."""

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
        """Return whether another machine might have done better."""
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


class DecisionReason(BaseModel):
    """One reason of a decision: the rule's word, and a sentence."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rule: str = ""
    says: str = ""
    facts: dict[str, str | int | float | list[str] | None] = Field(default_factory=dict)


class Event(BaseModel):
    """Record one step of one attempt. Times are unix seconds, prices $/h all-in.

    `usd`: $ since the rent. Until the instance runs, that is its disk and the image's traffic (`image_usd`).
    For an instance that ended, `seconds` is the whole rented time, and `usd` that time at its price.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a later version may add fields

    version: int = VERSION
    at: float
    stack_id: str
    name: str  # <fleet>-<index>
    attempt: str = Field(pattern=r"^[0-9a-f]{1,32}$")
    step: int  # counts the events of an attempt
    outcome: Outcome
    reason: Reason | None = None
    phase: str | None = None  # the last complete phase, a verb such as "wait" or "fetch weights"
    message: str = ""
    offer_id: int | None = None
    machine_id: int | None = None
    host_id: int | None = None
    instance_id: int | None = None
    usd_per_hour: float | None = None
    seconds: float = 0.0  # since the attempt began
    usd: float = 0.0
    image_usd: float = 0.0
    traffic_usd: float = 0.0  # once, for the weights' download; 0 in events of older versions
    charged_usd_per_hour: float | None = None  # as the market charges it: GPUs and disk, without traffic
    advertised_mbps: float | None = None
    download_mbps: float | None = None  # as measured on the weights
    boot_seconds: float | None = None  # rent -> running, by the market's clock
    phases: dict[str, float] = Field(default_factory=dict)  # if it served: seconds that each phase took
    decision: str | None = None  # of the controller: what happens to the slot, such as "rent" or "leave"
    reasons: tuple[DecisionReason, ...] = ()  # of the controller's decision

    @property
    def key(self) -> str:
        """Return the event's path below the ledger: `<day>/<time>-<stack id>.<name>.<outcome>.<attempt>-<step>.json`."""
        moment = datetime.fromtimestamp(self.at, UTC)
        who = f"{self.stack_id}.{self.name}.{self.outcome.value}.{self.attempt}-{self.step}"
        return f"{moment:%Y-%m-%d}/{moment:%H%M%S.%f}-{who}.json"

    @property
    def log_key(self) -> str:
        """Return the path of the event's log, beside the event. Readers of events skip it by its name."""
        return f"{self.key.removesuffix('.json')}-log.txt"


class KeyParts(BaseModel):
    """Hold the parts of an event's key, known without reading the object."""

    model_config = ConfigDict(frozen=True)

    day: str
    stack_id: str
    name: str
    outcome: Outcome


def parse_key(key: str) -> KeyParts | None:
    """Parse a key below the ledger's folder; None if it is not ours or a later version wrote it."""
    found = _KEY.match(key)
    if not found:
        return None
    day, _time, stack_id, name, outcome = found.groups()
    try:
        return KeyParts(day=day, stack_id=stack_id, name=name, outcome=Outcome(outcome))
    except ValueError:
        return None


def parse(text: str) -> Event | None:
    """Parse an event; None if it is damaged or of a later version, so that one bad object does not cost the rest."""
    try:
        event = Event.model_validate_json(text)
    except ValidationError:
        return None
    return event if event.version == VERSION else None
