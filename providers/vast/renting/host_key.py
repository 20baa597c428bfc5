"""Read an instance's host key fingerprint from its log, to pin it before the first login."""

from collections.abc import Callable
from typing import TypeVar

from bootstrap.errors import OtherHostKey
from bootstrap.services import Progress
from providers.vast.api import errors
from providers.vast.api.patient_market import PatientMarket
from providers.vast.renting.onstart import fingerprint
from providers.vast.renting.renter import Renter

Done = TypeVar("Done")
# Looks at the log if the host shows another key than the log named: its SSH server may have made a new key.
RENEWED_LOOKS = 3


def patiently_read(patient: PatientMarket, renter: Renter, instance_id: int, deadline: float) -> str:
    """Read the fingerprint as `read` does, and do not charge the machine for the market's silence.

    Time without an answer of the market does not count against the machine.
    """
    while True:
        lost = patient.lost_seconds
        try:
            return read(renter, instance_id, deadline)
        except errors.RentalFailed:
            if patient.lost_seconds == lost or renter.clock.monotonic() >= deadline:
                raise  # the log was readable all the time, and never had the key


def read(renter: Renter, instance_id: int, deadline: float) -> str:
    """Read the fingerprint from the instance's log before `deadline` (monotonic seconds).

    An empty or missing log counts as a log that has not appeared yet. Raises RentalFailed if the key never appears. If
    the deadline came before the bound for the log, the reason is `time`, which blames no machine.
    """
    began = renter.clock.monotonic()
    cut_short = deadline < began + renter.limits.host_key_seconds
    ends = min(deadline, began + renter.limits.host_key_seconds)
    while renter.clock.monotonic() < ends:
        found = fingerprint(renter.market.log(instance_id))
        if found:
            return found
        renter.clock.sleep(renter.limits.look_seconds)
    waited = f"in {(renter.clock.monotonic() - began) / 60:.0f} min its log never showed the host key's fingerprint"
    if cut_short:
        raise errors.RentalFailed(instance_id, "time", f"{waited}; {errors.TIME_OVER}")
    raise errors.RentalFailed(instance_id, "log", f"{waited}, so it cannot be trusted")


def with_last_named(
    renter: Renter,
    instance_id: int,
    host_key: str,
    serve: Callable[[str], Done],
    report_progress: Progress,
) -> Done:
    """Serve with a host key; if the server shows another key, retry with the key that the log named last.

    Makes `RENEWED_LOOKS` such retries. Only a key from the log is ever pinned. Raises OtherHostKey if the server still
    shows another key, and the errors of `serve`.
    """
    for _look in range(RENEWED_LOOKS):
        try:
            return serve(host_key)
        except OtherHostKey:
            renter.clock.sleep(renter.limits.look_seconds)
            named = fingerprint(renter.market.log(instance_id)) or host_key
            if named != host_key:
                report_progress("connect", f"the log of instance {instance_id} names another host key now: {named}")
            host_key = named
    return serve(host_key)
