"""Rent an offer under a label. If the reply is lost, look the label up.

The market has no idempotency key, its reads lag by up to 90 s, and its answers may be wrong in either direction. The
rent call therefore carries the label.
"""

from typing import Any

from providers.engine_watch import EngineGone
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.market import Market
from providers.vast.api.offer import Offer
from providers.vast.renting.give_back import give_back, give_back_all
from providers.vast.renting.look import by_id
from providers.vast.renting.renter import Renter

RENT_TRIES = 2  # the second follows only if the first is known to have had no effect


def rent(renter: Renter, offer: Offer, body: dict[str, Any]) -> int:
    """Rent an offer under the label in `body` and return the instance's id.

    If the reply is lost, the label decides. Found means that the rent took effect. Absent for the whole settling time
    means that it did not; then the rent is tried again. If a refusal left a contract behind, it is given back. If the
    call ended without an answer of the market (a full disk, Ctrl-C), instances that show under the label are given
    back.

    Raises OfferGone, NoCredit, RequestInvalid, CredentialsRefused, OutcomeUnknown, StillRented, and the error that
    broke the call.
    """
    for tried in range(1, RENT_TRIES + 1):
        try:
            return renter.market.rent(offer.id, body)
        except (errors.OfferGone, errors.NoCredit) as refused:
            if refused.instance_id is not None:
                give_back(renter, refused.instance_id, offer.dph_base, renter.clock.monotonic())
            raise
        except errors.OutcomeUnknown as doubt:
            found = _settle_or_give_back(renter, body["label"], doubt, offer)
            if found:
                return found[0].id
            _no_nameless(renter.market, offer, body, doubt)
            if tried == RENT_TRIES:
                raise
        except (errors.VastError, EngineGone):
            raise  # refused, or called off while it waited for its turn
        except BaseException as broken:
            unknown = errors.OutcomeUnknown("rent", f"it was broken off: {broken!r}")
            with renter.clock.without_engine():
                found = _settle_or_give_back(renter, body["label"], unknown, offer)
                give_back_all(renter, found)
            raise
    raise AssertionError("unreachable")


def _settle_or_give_back(renter: Renter, label: str, doubt: errors.OutcomeUnknown, offer: Offer) -> list[Instance]:
    try:
        return settle(renter, label, offer.machine_id)
    except EngineGone:
        with renter.clock.without_engine():
            give_back_all(renter, settle(renter, label, offer.machine_id))
        raise
    except errors.VastError as error:
        raise errors.OutcomeUnknown(
            "rent",
            f"{doubt.what_happened}; looking it up failed too: {error}. An instance with the label {label} may be rented, "
            f"at about ${offer.dph_base:.3f}/h: run `pulumi up` again, it goes on with what carries its label",
        ) from error


def could_be(instance: Instance, image: str) -> bool:
    """Return whether an instance without a label could be one that was rented for an image."""
    return not instance.label and instance.image_uuid in (None, image)


def _no_nameless(market: Market, offer: Offer, body: dict[str, Any], doubt: errors.OutcomeUnknown) -> None:
    """Raise OutcomeUnknown if the offered machine runs our image without a label.

    A second instance is not rented then.
    """
    for one in market.instances():
        if could_be(one, body["image"]) and one.machine_id == offer.machine_id:
            raise errors.OutcomeUnknown(
                "rent",
                f"{doubt.what_happened}; instance {one.id} on the machine that was asked for shows no label, and may be "
                f"{body['label']}, at about {errors.format_price(offer.dph_base)}. Run `pulumi up` again: it goes on with it "
                f"once the market shows its label. Or end it with `vastai destroy instance {one.id} -y`",
            )


def settle(renter: Renter, label: str, machine_id: int | None = None) -> list[Instance]:
    """Look a label up until an instance shows or a fresh one can no longer be missing; lowest id first.

    Instances on another machine than the requested one belong to another creator, and do not count. The time counts
    from the first answer on: the wait for that answer proves nothing.
    """
    deadline: float | None = None
    while True:
        listed = by_id(renter.market.instances(label))
        found = [one for one in listed if machine_id is None or one.machine_id in {None, machine_id}]
        deadline = deadline if deadline is not None else renter.clock.monotonic() + renter.limits.settle_seconds
        if found or renter.clock.monotonic() >= deadline:
            return found
        renter.clock.sleep(renter.limits.look_seconds)
