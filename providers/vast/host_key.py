"""The fingerprint of an instance's host key, out of its log: what is pinned before the first login."""

from providers.engine_watch import RentingClock
from providers.vast import errors
from providers.vast.limits import Limits
from providers.vast.onstart import fingerprint
from providers.vast.patient import PatientMarket
from providers.vast.renting import Market


def patiently_read(
    market: PatientMarket, clock: RentingClock, limits: Limits, instance_id: int, deadline: float
) -> str:
    """Read it as `read` does; time in which the market gave no answer does not count against the machine."""
    while True:
        lost = market.lost_seconds
        try:
            return read(market, clock, limits, instance_id, deadline)
        except errors.RentalFailed:
            if market.lost_seconds == lost or clock.monotonic() >= deadline:
                raise  # the log could be read all the time, and never had it


def read(market: Market, clock: RentingClock, limits: Limits, instance_id: int, deadline: float) -> str:
    """Read the fingerprint from the instance's log before `deadline` (monotonic seconds).

    A log that is empty, or that is not there, is one that is not there yet. Raises RentalFailed if the key never appears.
    """
    deadline = min(deadline, clock.monotonic() + limits.host_key_seconds)
    while clock.monotonic() < deadline:
        found = fingerprint(market.log(instance_id))
        if found:
            return found
        clock.sleep(limits.look_seconds / 5)
    raise errors.RentalFailed(
        instance_id,
        "log",
        f"in {limits.host_key_seconds / 60:.0f} min its log never showed the host key's fingerprint, "
        "so it cannot be trusted",
    )
