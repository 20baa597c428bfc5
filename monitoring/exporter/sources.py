"""Where the exporter's facts come from: ledger, inventory, charges and unused time, each as a function.

The rows are those of the providers: events of the ledger, instances and charges of the market.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from providers.ledger.event import Event
from providers.vast.api import label
from providers.vast.api.instance import Instance
from providers.vast.api.label import Label
from providers.vast.api.responses import Charge

PHASES = ("rent", "wait", "connect", "preflight", "install", "fetch weights", "start", "probe")


class SourceDown(Exception):
    """A source cannot be read now. The message says why."""


@dataclass(frozen=True)
class Sources:
    """The functions that read each source. Each of them raises SourceDown if it cannot.

    `events` returns only events that it has not returned before. `inventory` and `charges` return all rows of the account.
    `unused` returns, for hosts that report, how many seconds each instance was ready and unused, by its id.
    """

    events: Callable[[], Sequence[Event]]
    inventory: Callable[[], Sequence[Instance]]
    charges: Callable[[], Sequence[Charge]]
    unused: Callable[[], Mapping[int, float]] | None = None


def label_of(row: Instance | Charge) -> Label | None:
    """Return the label of an instance or a charge; None if no fleet made it."""
    return label.parse(row.label if isinstance(row, Instance) else row.metadata.label)
