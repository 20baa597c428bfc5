"""Why the controller decided something, as data for the ledger: which rule, in which words, by which figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Fact = str | int | float | None | tuple[str, ...]


class Rule(Enum):
    """Name the rule that spoke. The words are a closed list, because readers of the ledger group by them."""

    # The count that is wanted.
    CLAIMS = "claims"
    LOAD = "load"
    TOLERANCE = "tolerance"
    UNKNOWN = "unknown"
    DOWN_WINDOW = "down-window"
    IDLE_WINDOW = "idle-window"
    MIN = "min"
    MAX = "max"
    BUDGET = "budget"
    SPEND_UNKNOWN = "spend-unknown"
    # What happens to one slot.
    START = "start"
    REOPEN = "reopen"
    VICTIM = "victim"
    CLEAR = "clear"
    GATE_CLOSED = "gate-closed"
    NO_VICTIM = "no-victim"
    NO_ROOM = "no-room"
    COOL_OFF = "cool-off"
    BREAKER = "breaker"
    WAVE = "wave"
    # How one slot leaves.
    GATE_OPEN = "gate-open"
    SETTLING = "settling"
    BUSY = "busy"
    SOMEBODY_GOT_IN = "somebody-got-in"
    SILENT = "silent"
    QUIET = "quiet"
    LONGEST_REQUEST = "longest-request"
    # How the instance and its stack look.
    GONE = "gone"
    DEAD = "dead"
    STACK = "stack"
    # Why a decision no longer holds.
    LATE = "late"
    LED = "lead-lost"
    SLOT_CHANGED = "slot-changed"
    FLEET_GONE = "fleet-gone"
    BOUNDS_CHANGED = "bounds-changed"


@dataclass(frozen=True)
class Reason:
    """One rule that spoke: a sentence for people, and the figures behind it for programs."""

    rule: Rule
    says: str
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        """Return the reason as JSON can hold it."""
        facts = {name: list(value) if isinstance(value, tuple) else value for name, value in self.facts.items()}
        return {"rule": self.rule.value, "says": self.says, **({"facts": facts} if facts else {})}
