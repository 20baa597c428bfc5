"""Give an instance back: destroy it and confirm that it is gone, or name the instance that still costs money."""

from collections.abc import Callable, Iterable

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.renting.look import is_absent
from providers.vast.renting.renter import Renter

# Looks after which an accepted destroy without effect is asked for again. A delay of a minute is not rare.
DESTROY_AGAIN_LOOKS = 12


def give_back(
    renter: Renter,
    instance_id: int,
    usd_per_hour: float | None = None,
    rented_at: float = float("-inf"),
) -> None:
    """Destroy an instance and return once the market confirms that it is gone.

    Absence proves nothing within the settling time after `rented_at` (monotonic seconds). A destroy that early may
    reach a market that does not know the instance yet. Continues without an engine.

    Looks after an accepted destroy, refusals and disk errors count against `destroy_seconds`. Doubts count against
    `outage_seconds`. So the time that many callers queue at once does not count. A market that does not answer gets more
    time than one that answers and does nothing.

    Raises StillRented, with the command that ends the cost, if the market does not confirm the end.
    """
    absence_counts_from = rented_at + renter.limits.settle_seconds
    destroy_again_at, was_absent = float("-inf"), False
    looked = lost = 0.0
    cause = "the market still lists it"
    with renter.clock.without_engine():
        while looked < renter.limits.destroy_seconds and lost < renter.limits.outage_seconds:
            began = renter.clock.monotonic()
            try:
                if began >= destroy_again_at:
                    renter.market.destroy(instance_id)
                    destroy_again_at = renter.clock.monotonic() + DESTROY_AGAIN_LOOKS * renter.limits.look_seconds
                absent = is_absent(renter, instance_id)
                if absent and renter.clock.monotonic() >= absence_counts_from:
                    return
                destroy_again_at = destroy_again_at if absent or not was_absent else float("-inf")
                was_absent = absent
                looked += renter.limits.look_seconds
            except errors.CredentialsRefused as error:
                raise errors.StillRented(instance_id, usd_per_hour, str(error)) from error
            except errors.DOUBTS as doubt:
                cause = str(doubt)
                # In a long queue a doubt comes late. It still counts as a doubt.
                lost += (
                    min(renter.clock.monotonic() - began, renter.limits.destroy_seconds) + renter.limits.look_seconds
                )
            except (errors.VastError, OSError) as error:  # a full disk: our own records cannot be written
                cause = str(error)
                looked += renter.limits.look_seconds
            renter.clock.sleep(renter.limits.look_seconds)
    raise errors.StillRented(instance_id, usd_per_hour, cause)


def give_back_all(
    renter: Renter, instances: Iterable[Instance], record: Callable[[Instance], None] = lambda _gone: None
) -> None:
    """Give back several instances; try all of them before raising the first failure.

    `record` takes each instance whose end is confirmed. It is called after the last, so that no record delays one.
    """
    failures: list[errors.StillRented] = []
    gone: list[Instance] = []
    for instance in instances:
        try:
            give_back(renter, instance.id, instance.dph_total)
        except errors.StillRented as error:
            failures.append(error)
        else:
            gone.append(instance)
    for instance in gone:
        record(instance)
    if failures:
        raise failures[0]
