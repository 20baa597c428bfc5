"""What the exporter is told, in its own words; who asks the ledger and the market hands it in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

PHASES = ("rent", "wait", "connect", "preflight", "install", "fetch weights", "start", "probe")
KINDS = {"gpu": "gpu", "disk": "disk", "bwd": "traffic", "bwu": "traffic"}  # the market's word -> ours


class SourceDown(Exception):
    """A source cannot be read now; the message says why."""


@dataclass(frozen=True)
class Happening:
    """One event of the ledger. `at` in unix seconds, `seconds` since the attempt began, `usd` since the rent."""

    at: float
    stack_id: str
    name: str
    attempt: str
    outcome: str
    reason: str | None = None
    phase: str | None = None
    seconds: float = 0.0
    usd: float = 0.0
    usd_per_hour: float | None = None
    instance_id: int | None = None
    machine_id: int | None = None
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Rented:
    """One instance of the account that carries a label of gpu-fleet's. `usd_per_hour` as the market charges while it runs,
    `ends_at` (unix seconds) when its contract ends.
    """

    instance_id: int
    stack_id: str
    name: str
    status: str
    gpu: str
    machine_id: int
    location: str
    usd_per_hour: float
    ends_at: float | None = None


@dataclass(frozen=True)
class Charged:
    """What the market charged for one instance between two moments (unix seconds). `usd`: by the market's own kinds."""

    instance_id: int
    stack_id: str
    name: str
    start: float
    end: float
    usd: Mapping[str, float]

    @property
    def total(self) -> float:
        """All kinds together, in $."""
        return sum(self.usd.values())


@dataclass(frozen=True)
class Sources:
    """Each returns what is there, or raises SourceDown. `happenings` returns only what it has not returned before;
    `unused` how many seconds each instance was ready and unused, by its id, where hosts report.
    """

    happenings: Callable[[], Sequence[Happening]]
    inventory: Callable[[], Sequence[Rented]]
    charges: Callable[[], Sequence[Charged]]
    unused: Callable[[], Mapping[int, float]] | None = None
