"""Build the context of one operation in a provider process: the market, the ledger, and output without secrets."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from providers.engine_watch import WatchedClock
from providers.ledger.bucket_ledger import open_ledger
from providers.ledger.last_word import open_last_words
from providers.ledger.ledger import CleanLedger
from providers.progress import print_progress
from providers.store.client import Keys
from providers.vast.api import label
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.api.session import market_session
from providers.vast.instance_budget import open_budget
from providers.vast.lifecycle import OperationContext
from providers.vast.main_stack import MainStack
from providers.vast.own_end import OwnEnds
from providers.vast.pulumi_state import run_pulumi
from providers.vast.redaction import Redaction
from providers.vast.renting.bucket_marks import open_marks
from providers.vast.renting.serving_marks import MarkUnknown, ServingMark
from providers.vast.settings import InstanceSettings


@contextmanager
def open_operation(
    settings: InstanceSettings, vast_key: str, clock: WatchedClock, keys: Keys
) -> Iterator[OperationContext]:
    """Yield the context of an operation on one instance. All its output and records pass the redaction."""
    redaction = Redaction.of(vast_key, keys.secret, settings)
    with market_session(settings.market, vast_key, clock, settings.limits.rents_per_hour) as market:
        yield _context(settings, market, clock, keys, redaction)


def _context(
    settings: InstanceSettings, market: GuardedMarket, clock: WatchedClock, keys: Keys, redaction: Redaction
) -> OperationContext:
    place = _place(settings, keys, clock)

    def report_progress(phase: str, text: str) -> None:
        print_progress(redaction.clean(f"{settings.name}  {phase}  {text}"))

    ledger = CleanLedger(open_ledger(*place), redaction.clean)
    ends = OwnEnds(open_last_words(*place), market.excuse)
    mark = label.parse(settings.label)
    main_stack = MainStack(run_pulumi, settings.main_stack, mark.stack_id if mark else "")
    return OperationContext(
        market,
        clock,
        keys,
        report_progress,
        ledger,
        marks=open_marks(*place),
        ends=ends,
        confirm_wanted=main_stack.confirm,
        budget=open_budget(settings, place, market.folder, market.charges, report_progress),
    )


def held(settings: InstanceSettings, clock: WatchedClock, keys: Keys) -> ServingMark | None:
    """Return the mark of the instance's label, or None if it has none or the store does not tell."""
    with suppress(MarkUnknown):
        return open_marks(*_place(settings, keys, clock)).read(settings.label)
    return None


def _place(settings: InstanceSettings, keys: Keys, clock: WatchedClock) -> tuple[str, str, str, Keys, WatchedClock]:
    store = settings.store
    return store.own_endpoint or store.endpoint, store.region, store.bucket, keys, clock
