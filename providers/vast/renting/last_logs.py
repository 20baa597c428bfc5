"""What a machine that failed said, before it is given back: its container's log and the log of its landlord's daemon.

It is asked for once and within a few seconds, because giving back must not hang on it. Both texts are the landlord's: they
are kept to be read by people, and nothing acts on them.
"""

from providers.engine_watch import EngineGone, RentingClock
from providers.ledger.event import Reason
from providers.ledger.recorder import reason_of
from providers.vast.api.market import Market

SECONDS = 10.0  # of ours, for both logs together
LEAST_SECONDS = 1.0
UNTOLD = frozenset({Reason.SURPLUS, Reason.INTERRUPTED})  # nothing to learn from the machine


def last_logs(market: Market, clock: RentingClock, instance_id: int, error: BaseException) -> str:
    """Return why an attempt ended and the ends of both logs, as far as they can be had; empty where nothing is to be learnt.

    Never raises but for what ends this process from outside.
    """
    if reason_of(error) in UNTOLD:
        return ""
    until = clock.monotonic() + SECONDS
    parts = [str(error)]
    with clock.patient():
        for daemon, name in ((False, "container"), (True, "landlord's daemon")):
            left = until - clock.monotonic()
            try:
                text = market.last_log(instance_id, daemon, left) if left >= LEAST_SECONDS else ""
            except EngineGone:
                raise
            except Exception as trouble:  # noqa: BLE001 -- whatever it is, giving back goes on
                text = f"(not to be had: {trouble})"
            parts.append(f"--- log of the {name} of instance {instance_id}\n{text.strip() or '(none)'}")
    return "\n".join(parts) + "\n"
