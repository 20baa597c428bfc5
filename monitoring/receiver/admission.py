"""Decides which samples of a host pass: its own series, under its own name, of now, in a bounded number.

Pure functions. Each rule judges one sample or one series, so that the good part of a request passes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from monitoring.instance_names import fleet_of
from monitoring.prometheus_config import OUT_OF_ORDER_SECONDS
from monitoring.receiver.wire import Labels, Written

AHEAD_SECONDS = 60.0  # Prometheus refuses a whole request if one sample is ten minutes ahead
BEHIND_SECONDS = float(OUT_OF_ORDER_SECONDS)
MOST_LABELS = 30
LONGEST_VALUE = 256
MOST_SERIES = 3_000  # of one sender at once
FORGET_SECONDS = 600.0  # a series without a sample for so long makes room for another
# The names of vLLM, its HTTP server and the agent. A host may write no other, above all none of the exporter's money.
NAMES = re.compile(
    r"vllm:[a-z0-9_]+|http_(requests|request|response)_[a-z_]+|vast_(gpu|disk|network|memory|cpu|agent|model|certificate)_[a-z_]+"
    r"|vast_instance_(state|inflight_requests|last_request_timestamp_seconds|idle_seconds|bootstrap_seconds"
    r"|ending_seconds|lease_remaining_seconds|(admitted_requests|unused_seconds)_total)"
)
JOBS = ("vllm", "agent")
FORCED = ("instance_id", "name", "fleet", "stack_id")
REASONS = ("credential", "ended", "label", "clock", "age", "series", "rate", "size", "form")


@dataclass(frozen=True)
class Sender:
    """The instance that a credential belongs to."""

    instance_id: str
    name: str
    stack_id: str

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels that the receiver forces on each series of this sender."""
        return dict(zip(FORCED, (self.instance_id, self.name, fleet_of(self.name), self.stack_id), strict=True))


@dataclass(frozen=True)
class Admitted:
    """The series that pass, the number of refused samples by reason, and the newest sample's age in seconds."""

    series: list[Written]
    refused: Counter[str]
    lag_seconds: float | None


@dataclass
class Known:
    """The latest series of one sender: the moment of the last sample (unix seconds) by the series' hash."""

    at: dict[int, float] = field(default_factory=dict)

    def takes(self, labels: Labels, now: float) -> bool:
        """Remember a series. Return False if the sender has too many."""
        series = hash(labels)  # label texts would let a flood of series fill our memory
        if series not in self.at and len(self.at) >= MOST_SERIES:
            self.at = {one: at for one, at in self.at.items() if now - at < FORGET_SECONDS}
            if len(self.at) >= MOST_SERIES:
                return False
        self.at[series] = now
        return True


def admit(written: Iterable[Written], sender: Sender, known: Known, now: float) -> Admitted:
    """Return the part of a request that passes, under the sender's labels. `now` is in unix seconds."""
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
    """Return a series' labels as the receiver stores them, sorted by name. None if a host may not write the series."""
    given = dict(labels)
    if len(given) != len(labels) or len(given) > MOST_LABELS:
        return None
    if not NAMES.fullmatch(given.get("__name__", "")) or given.get("job") not in JOBS:
        return None
    if any(len(value) > LONGEST_VALUE or not name for name, value in labels):
        return None
    return tuple(sorted((given | sender.labels).items()))
