"""What a host may write, pure: its own series under its own name, of now, in a bounded number.

Every rule is about one sample or series; what keeps to them goes through though it came in one request with what does not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from monitoring.instance_names import fleet_of
from monitoring.prometheus_config import OUT_OF_ORDER_SECONDS
from monitoring.receiver.wire import Labels, Written

AHEAD_SECONDS = 60.0  # Prometheus itself refuses a whole request for a sample ten minutes ahead
BEHIND_SECONDS = float(OUT_OF_ORDER_SECONDS)
MOST_LABELS = 30
LONGEST_VALUE = 256
MOST_SERIES = 3_000  # of one sender, at once
FORGET_SECONDS = 600.0  # a series that was not written for so long makes room for another
# What vLLM, its HTTP server and the agent say. Anything else, the exporter's money above all, is not a host's to say.
NAMES = re.compile(
    r"vllm:[a-z0-9_]+|http_(requests|request|response)_[a-z_]+|vast_(gpu|disk|network|memory|cpu|agent|model|certificate)_[a-z_]+"
    r"|vast_instance_(state|inflight_requests|last_request_timestamp_seconds|idle_seconds|bootstrap_seconds"
    r"|(admitted_requests|unused_seconds)_total)"
)
JOBS = ("vllm", "agent")
FORCED = ("instance_id", "name", "fleet", "stack_id")
REASONS = ("credential", "ended", "label", "clock", "age", "series", "rate", "size", "form")


@dataclass(frozen=True)
class Sender:
    """Who writes, as its credential says."""

    instance_id: str
    name: str
    stack_id: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels that its series get, whatever it wrote there itself."""
        return dict(zip(FORCED, (self.instance_id, self.name, fleet_of(self.name), self.stack_id), strict=True))


@dataclass(frozen=True)
class Admitted:
    """What goes through, how many samples were refused by reason, and how many seconds the newest lies behind now."""

    series: list[Written]
    refused: Counter[str]
    lag_seconds: float | None


@dataclass
class Known:
    """The series that one sender has written of late, by hash, each with when it did last (unix seconds)."""

    at: dict[int, float] = field(default_factory=dict)

    def takes(self, labels: Labels, now: float) -> bool:
        """Say whether there is room for a series, and remember it."""
        series = hash(labels)  # a set of label texts would let a flood of series take our memory
        if series not in self.at and len(self.at) >= MOST_SERIES:
            self.at = {one: at for one, at in self.at.items() if now - at < FORGET_SECONDS}
            if len(self.at) >= MOST_SERIES:
                return False
        self.at[series] = now
        return True


def admit(written: Iterable[Written], sender: Sender, known: Known, now: float) -> Admitted:
    """Return what of a request goes through, under the sender's labels. `now` in unix seconds."""
    refused: Counter[str] = Counter()
    through: list[Written] = []
    newest = float("-inf")
    for one in written:
        newest = max([newest, *(at / 1000 for _, at in one.samples)])
        labels = own_labels(one.labels, sender)
        if labels is None:
            refused["label"] += len(one.samples)
            continue
        samples = tuple(sample for sample in one.samples if -BEHIND_SECONDS <= sample[1] / 1000 - now <= AHEAD_SECONDS)
        ahead = sum(at / 1000 - now > AHEAD_SECONDS for _, at in one.samples)
        refused["clock"] += ahead
        refused["age"] += len(one.samples) - len(samples) - ahead
        if not samples:
            continue
        if not known.takes(labels, now):
            refused["series"] += len(samples)
            continue
        through.append(Written(labels, samples))
    return Admitted(through, +refused, now - newest if newest > float("-inf") else None)


def own_labels(labels: Sequence[tuple[str, str]], sender: Sender) -> Labels | None:
    """Return the labels of a series as they are stored, sorted by name; None for a series that is not a host's to write."""
    said = dict(labels)
    if len(said) != len(labels) or len(said) > MOST_LABELS:
        return None
    if not NAMES.fullmatch(said.get("__name__", "")) or said.get("job") not in JOBS:
        return None
    if any(len(value) > LONGEST_VALUE or not name for name, value in labels):
        return None
    return tuple(sorted((said | sender.labels).items()))
