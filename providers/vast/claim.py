"""One instance a label: what carries it is taken over before anything is rented, and looked up once more at the end."""

from collections.abc import Callable, Iterable

from providers.engine_watch import RentingClock
from providers.vast import errors
from providers.vast.instances import Instance, unsound
from providers.vast.limits import Limits
from providers.vast.nameless import under_label as labelled
from providers.vast.offers import Wishes
from providers.vast.patient import PatientMarket
from providers.vast.renting import Market, by_id, give_back_all

Say = Callable[[str, str], None]  # phase, text


def would_adopt(rows: Iterable[Instance], label: str, image: str, wishes: Wishes) -> Instance | None:
    """Return the instance out of a list that `adopt` would take over under a label; None where something must be rented."""
    return next(
        (
            one
            for one in by_id(rows)
            if one.label == label and not unsound(one, image, wishes.gpu_names, wishes.gpu_count, wishes.disk_gb)
        ),
        None,
    )


def adopt(
    market: Market, clock: RentingClock, limits: Limits, label: str, image: str, wishes: Wishes, say: Say
) -> Instance | None:
    """Take over the sound instance of the lowest id under our label; give back unsound and surplus ones."""
    under_label = by_id(labelled(market, clock, limits, label, image, wishes.gpu_names, say))
    flaws = {
        instance.id: unsound(instance, image, wishes.gpu_names, wishes.gpu_count, wishes.disk_gb)
        for instance in under_label
    }
    sound = [instance for instance in under_label if not flaws[instance.id]]
    kept = sound[0] if sound else None
    for instance in under_label:
        if instance is not kept:
            say(
                "give back",
                f"instance {instance.id} under our label {', '.join(flaws[instance.id]) or 'is surplus'}",
            )
    give_back_all(market, clock, limits, [instance for instance in under_label if instance is not kept])
    if kept:
        say("adopt", f"instance {kept.id} under our label goes on from {kept.actual_status or 'scheduled'}")
    return kept


def keep_lowest(market: Market, clock: RentingClock, limits: Limits, label: str, instance_id: int, say: Say) -> None:
    """List the label once more: the lowest id stays. Two creators at once both come here and agree.

    What serves is given back for one reason alone: the market says that another stays. A market that does not answer, and
    another that cannot be given back, are told; the next refresh finds what is surplus.
    Raises RentalFailed where another stays; the caller gives ours back and adopts that one.
    """
    patient = PatientMarket(market, clock, limits, clock.monotonic() + limits.outage_seconds, say)
    try:
        under_label = by_id(patient.instances(label))
    except errors.VastError as error:
        say("market", f"instance {instance_id} serves; nobody knows whether another carries its label: {error}")
        return
    if under_label and under_label[0].id < instance_id:
        raise errors.RentalFailed(instance_id, "surplus", f"instance {under_label[0].id} holds this label already")
    try:
        give_back_all(market, clock, limits, [one for one in under_label if one.id != instance_id])
    except errors.StillRented as error:
        say("give back", str(error))
