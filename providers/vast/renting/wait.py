"""Wait until a rented instance runs and can be reached."""

import random

from providers.vast.api import errors
from providers.vast.api.instance import Failed, Instance, Running, classify
from providers.vast.renting.look import find, is_absent
from providers.vast.renting.renter import Renter


def wait_until_running(renter: Renter, instance_id: int, label: str, gate_port: int, deadline: float) -> Instance:
    """Wait for address and ports, and return the instance's row.

    Looks at the instance itself, or at the list that all waiting callers share if many wait. Raises RentalFailed if the
    instance will not come up, not within the limits of a boot, or not before the deadline (monotonic seconds). If the
    deadline ends the wait, the reason is `time`, which blames no machine. Only a failure status ends the wait sooner.
    The last look decides, however long the market did not answer.
    """
    born = changed = renter.clock.monotonic()
    status, last_seen = "not listed yet", None
    chance = random.Random(instance_id)  # spreads the waiting callers in time
    while True:
        instance = (
            renter.market.show(instance_id)
            if renter.market.should_look_by_id(instance_id)
            else find(renter.market, instance_id, label, renter.limits.boot_look_seconds)
        )
        if instance is not None:
            state = classify(instance, gate_port)
            if isinstance(state, Running):
                return instance
            if isinstance(state, Failed):
                raise errors.RentalFailed(instance_id, state.reason, state.message)
            status = state.status
            if last_seen != (last_seen := (status, instance.status_msg)):
                changed = renter.clock.monotonic()
        elif renter.clock.monotonic() - born > renter.limits.settle_seconds and is_absent(renter, instance_id, label):
            raise errors.RentalFailed(instance_id, "lost", "it vanished from the market while it booted")
        if renter.clock.monotonic() >= min(deadline, renter.limits.boot_ends(born, changed)):
            break
        renter.clock.sleep(renter.limits.boot_look_seconds * chance.uniform(1, 2))
    waited = renter.clock.monotonic() - born
    message = f"; {last_seen[1]}" if last_seen and last_seen[1] else ""
    late = f"not running after {waited:.0f} s (status: {status}{message})"
    if deadline < renter.limits.boot_ends(born, changed):
        raise errors.RentalFailed(instance_id, "time", f"{late}; {errors.TIME_OVER}")
    raise errors.RentalFailed(instance_id, "boot", late)
