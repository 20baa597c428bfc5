"""Fetch the last logs of a failed machine before it is given back.

The logs are the container's and that of the landlord's daemon. The market is asked once, for a few seconds, because
giving back must not wait for logs. The landlord controls both texts: they are kept for people to read, and no code acts
on them.
"""

from providers.engine_watch import EngineGone, RentingClock
from providers.ledger.event import Reason
from providers.ledger.recorder import reason_of
from providers.vast.api.market import Market

SECONDS = 10.0  # our time for both logs together
LEAST_SECONDS = 1.0
UNTOLD = frozenset({Reason.SURPLUS, Reason.INTERRUPTED})  # reasons that say nothing about the machine


def last_logs(market: Market, clock: RentingClock, instance_id: int, error: BaseException) -> str:
    """Return why an attempt ended, and the ends of both logs if the market gives them.

    Returns an empty text if the reason says nothing about the machine. Raises only errors that end this process from
    outside.
    """
    if reason_of(error) in UNTOLD:
        return ""
    until = clock.monotonic() + SECONDS
    parts = [str(error)]
    with clock.without_engine():
        for daemon, name in ((False, "container"), (True, "landlord's daemon")):
            left = until - clock.monotonic()
            try:
                text = market.last_log(instance_id, daemon, left) if left >= LEAST_SECONDS else ""
            except EngineGone:
                raise
            except Exception as trouble:  # noqa: BLE001 -- no error may stop giving back
                text = f"(not to be had: {trouble})"
            parts.append(f"--- log of the {name} of instance {instance_id}\n{text.strip() or '(none)'}")
    return "\n".join(parts) + "\n"
