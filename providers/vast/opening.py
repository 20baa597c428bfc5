"""The desk of one operation in a provider process: the market that was reached, the ledger, and lines without secrets."""

from contextlib import suppress

from providers.engine_watch import WatchedClock
from providers.progress import tell
from providers.store.client import Keys
from providers.store.ledger import open_ledger
from providers.store.serving_marks import open_marks
from providers.vast.ledger import CleanLedger
from providers.vast.lifecycle import Desk
from providers.vast.marks import Held, MarkUnknown
from providers.vast.redaction import Redaction
from providers.vast.renting import Market
from providers.vast.settings import InstanceSettings


def desk_of(settings: InstanceSettings, market: Market, clock: WatchedClock, keys: Keys, redaction: Redaction) -> Desk:
    """Return what an operation on one instance works with; whatever it says or records passes the redaction."""
    place = _place(settings, keys, clock)

    def say(phase: str, text: str) -> None:
        tell(redaction.clean(f"{settings.name}  {phase}  {text}"))

    ledger = CleanLedger(open_ledger(*place), redaction.clean)
    return Desk(market, clock, keys, say, ledger, marks=open_marks(*place))


def held(settings: InstanceSettings, clock: WatchedClock, keys: Keys) -> Held | None:
    """Return the mark of the instance's label; None where it has none, and where the store does not tell."""
    with suppress(MarkUnknown):
        return open_marks(*_place(settings, keys, clock)).read(settings.label)
    return None


def _place(settings: InstanceSettings, keys: Keys, clock: WatchedClock) -> tuple[str, str, str, Keys, WatchedClock]:
    store = settings.store
    return store.own_endpoint or store.endpoint, store.region, store.bucket, keys, clock
