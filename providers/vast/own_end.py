"""Say how an instance ended that the market does not list any more: by itself, with word of it, or for an unknown cause."""

from collections.abc import Callable
from dataclasses import dataclass, field

from providers.ledger import instance_end
from providers.ledger.last_word import LastWords, NoWords
from providers.vast.settings import InstanceSettings, SelfDestructSettings

AGAIN = "`pulumi up` rents it again"
GONE_DRIFT = "gone"  # begins a line that the look of a diff adds; state never has it
ENDING_ITSELF_DRIFT = "ends itself"  # begins a line about a host that is ending itself and is still there


@dataclass(frozen=True)
class End:
    """How an instance ended. `why` is for the ledger, `description` for the operator; both are texts.

    `at`: unix seconds, None without a word. `description` is empty for a fleet whose hosts never end themselves.
    """

    why: str = instance_end.GONE
    description: str = ""
    at: float | None = None


def _nothing(_instance_id: int) -> None:
    """Excuse nothing: there is no breaker."""


@dataclass(frozen=True)
class OwnEnds:
    """The reader of instances' ends. `excuse` takes the id of one that left word, so that the breaker stays closed."""

    words: LastWords = field(default_factory=NoWords)
    excuse: Callable[[int], None] = _nothing

    def of(self, settings: InstanceSettings, instance_id: int, now: float) -> End:
        """Return how an instance ended that is gone; `now` in unix seconds."""
        if settings.self_destruct is None:
            return End()
        word = self.words.read(settings.label, instance_id)
        if word is None:
            return End(description=f"it is gone and left no word; {describe_limits(settings.self_destruct)}")
        self.excuse(instance_id)
        why = f"it {word.describe(now)}"
        return End(why, why, word.at)


def describe_limits(limits: SelfDestructSettings) -> str:
    """Return the limits of a fleet's hosts in the words of stack config."""
    found = {"idleMinutes": limits.idle_minutes, "maxHours": limits.max_hours, "lease.minutes": limits.lease_minutes}
    named = ", ".join(f"{key} {value:g}" for key, value in found.items() if value is not None)
    return f"its fleet has {named}" if named else "its fleet has no limit"
