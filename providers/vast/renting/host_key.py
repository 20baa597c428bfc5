"""The fingerprint of an instance's host key, out of its log: what is pinned before the first login."""

from collections.abc import Callable
from typing import TypeVar

from bootstrap.errors import OtherHostKey
from providers.vast.api import errors
from providers.vast.api.patient_market import PatientMarket
from providers.vast.renting.onstart import fingerprint
from providers.vast.renting.renter import Renter

Done = TypeVar("Done")
RENEWED_LOOKS = 3  # at the log of a host that shows another key than it named: its server may have made it anew


def patiently_read(patient: PatientMarket, renter: Renter, instance_id: int, deadline: float) -> str:
    """Read it as `read` does; time in which the market gave no answer does not count against the machine."""
    while True:
        lost = patient.lost_seconds
        try:
            return read(renter, instance_id, deadline)
        except errors.RentalFailed:
            if patient.lost_seconds == lost or renter.clock.monotonic() >= deadline:
                raise  # the log could be read all the time, and never had it


def read(renter: Renter, instance_id: int, deadline: float) -> str:
    """Read the fingerprint from the instance's log before `deadline` (monotonic seconds).

    A log that is empty, or that is not there, is one that is not there yet. Raises RentalFailed if the key never appears;
    its reason is `time`, which blames no machine, if the deadline came before the bound for the log.
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
    say: Callable[[str, str], None],
) -> Done:
    """Serve with a host key; if the server shows another one, with the one that the log names last, a few times.

    Only what the log names is ever pinned. Raises OtherHostKey if the server still shows another one, and what `serve` does.
    """
    for _look in range(RENEWED_LOOKS):
        try:
            return serve(host_key)
        except OtherHostKey:
            renter.clock.sleep(renter.limits.look_seconds)
            named = fingerprint(renter.market.log(instance_id)) or host_key
            if named != host_key:
                say("connect", f"the log of instance {instance_id} names another host key now: {named}")
            host_key = named
    return serve(host_key)
