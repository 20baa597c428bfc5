"""Rent, wait and give back: the rules that keep every paid instance known. The market and the clock are handed in.

The market has no idempotency key, its reads lag behind by up to 90 s, and its answers may be wrong in either direction.
Hence: our label travels in the rent call; any doubt is settled by looking the label up; "gone" needs two looks that
agree; and whoever rented gives back, or says what still costs money.
"""

import random
from collections.abc import Iterable
from typing import Any

from providers.engine_watch import EngineGone, RentingClock
from providers.vast.api import errors
from providers.vast.api.instance import Failed, Instance, Running, classify
from providers.vast.api.market import Market
from providers.vast.api.rows import set_aside
from providers.vast.limits import Limits
from providers.vast.search.offers import Offer

RENT_TRIES = 2  # the second after the first is known to have had no effect
DESTROY_AGAIN_LOOKS = 12  # an accepted destroy that has no effect by then is asked for again; a minute is no rare tail


def rent_body(
    image: str, disk_gb: float, label: str, onstart: str, gate_port: int, image_login: str | None = None
) -> dict[str, Any]:
    """Return the body of the rent call: on demand (no price), and refused rather than left stopped if it cannot start."""
    return {
        "client_id": "me",
        "image": image,
        "disk": disk_gb,
        "label": label,
        "onstart": onstart,
        "runtype": "ssh_direc ssh_proxy",
        "env": {f"-p {gate_port}:{gate_port}": "1"},
        "target_state": "running",
        "cancel_unavail": True,
        **({"image_login": image_login} if image_login else {}),
    }


def rent(market: Market, clock: RentingClock, limits: Limits, offer: Offer, body: dict[str, Any]) -> int:
    """Rent an offer under the label in `body` and return the instance's id.

    A reply that got lost is settled by the label: found means that the rent took effect, absent for the whole settling
    time means that it did not, and then it is tried again. A refusal that left a contract behind is given back, and so is
    what shows under the label where the call ended in no answer of the market's: a full disk, Ctrl-C.
    Raises OfferGone, NoCredit, RequestInvalid, CredentialsRefused, OutcomeUnknown, StillRented, and what broke the call.
    """
    for tried in range(1, RENT_TRIES + 1):
        try:
            return market.rent(offer.id, body)
        except (errors.OfferGone, errors.NoCredit) as refused:
            if refused.instance_id is not None:
                give_back(market, clock, limits, refused.instance_id, offer.dph_base, clock.monotonic())
            raise
        except errors.OutcomeUnknown as doubt:
            found = _settle_or_give_back(market, clock, limits, body["label"], doubt, offer)
            if found:
                return found[0].id
            _no_nameless(market, offer, body, doubt)
            if tried == RENT_TRIES:
                raise
        except (errors.VastError, EngineGone):
            raise  # refused, or called off while it waited for its turn
        except BaseException as broken:
            unknown = errors.OutcomeUnknown("rent", f"it was broken off: {broken!r}")
            with clock.patient():
                found = _settle_or_give_back(market, clock, limits, body["label"], unknown, offer)
                give_back_all(market, clock, limits, found)
            raise
    raise AssertionError("unreachable")


def _settle_or_give_back(
    market: Market, clock: RentingClock, limits: Limits, label: str, doubt: errors.OutcomeUnknown, offer: Offer
) -> list[Instance]:
    try:
        return settle(market, clock, limits, label, offer.machine_id)
    except EngineGone:
        with clock.patient():
            give_back_all(market, clock, limits, settle(market, clock, limits, label, offer.machine_id))
        raise
    except errors.VastError as error:
        raise errors.OutcomeUnknown(
            "rent",
            f"{doubt.what_happened}; looking it up failed too: {error}. An instance with the label {label} may be rented, "
            f"at about ${offer.dph_base:.3f}/h: run `pulumi up` again, it goes on with what carries its label",
        ) from error


def could_be(instance: Instance, image: str) -> bool:
    """Say whether an instance that shows no label could be one that was rented for an image."""
    return not instance.label and instance.image_uuid in (None, image)


def _no_nameless(market: Market, offer: Offer, body: dict[str, Any], doubt: errors.OutcomeUnknown) -> None:
    """Raise OutcomeUnknown where the machine that was asked for runs our image under no label: a second is not rented."""
    for one in market.instances():
        if could_be(one, body["image"]) and one.machine_id == offer.machine_id:
            raise errors.OutcomeUnknown(
                "rent",
                f"{doubt.what_happened}; instance {one.id} on the machine that was asked for shows no label, and may be "
                f"{body['label']}, at about {errors.format_price(offer.dph_base)}. Run `pulumi up` again: it goes on with it "
                f"once the market shows its label. Or end it with `vastai destroy instance {one.id} -y`",
            )


def settle(
    market: Market, clock: RentingClock, limits: Limits, label: str, machine_id: int | None = None
) -> list[Instance]:
    """Look a label up until it shows, for as long as a fresh instance may be missing; lowest id first.

    What is on another machine than the one asked for is another creator's, and does not count. The time counts from the first
    answer on: what was waited for one says nothing.
    """
    deadline: float | None = None
    while True:
        listed = by_id(market.instances(label))
        found = [one for one in listed if machine_id is None or one.machine_id in {None, machine_id}]
        deadline = deadline if deadline is not None else clock.monotonic() + limits.settle_seconds
        if found or clock.monotonic() >= deadline:
            return found
        clock.sleep(limits.look_seconds)


def wait_until_running(
    market: Market, clock: RentingClock, limits: Limits, instance_id: int, label: str, gate_port: int, deadline: float
) -> Instance:
    """Wait for address and ports: by looks at the instance, or by the list that all share where many wait.

    Raises RentalFailed where it will not come up, not within the limits of a boot, or not before the deadline (monotonic
    seconds). If the deadline ends the wait, the reason is `time`, which blames no machine. No status but a failure's ends
    the wait sooner. The last look decides, however long the market did not answer.
    """
    born = changed = clock.monotonic()
    status, told = "not listed yet", None
    chance = random.Random(instance_id)  # spreads those who wait
    while True:
        few = market.few_wait(instance_id)
        instance = market.show(instance_id) if few else find(market, instance_id, label, limits.boot_look_seconds)
        if instance is not None:
            state = classify(instance, gate_port)
            if isinstance(state, Running):
                return instance
            if isinstance(state, Failed):
                raise errors.RentalFailed(instance_id, state.reason, state.message)
            status = state.status
            if told != (told := (status, instance.status_msg)):
                changed = clock.monotonic()
        elif clock.monotonic() - born > limits.settle_seconds and is_absent(market, clock, limits, instance_id, label):
            raise errors.RentalFailed(instance_id, "lost", "it vanished from the market while it booted")
        if clock.monotonic() >= min(deadline, limits.boot_ends(born, changed)):
            break
        clock.sleep(limits.boot_look_seconds * chance.uniform(1, 2))
    waited = clock.monotonic() - born
    message = f"; {told[1]}" if told and told[1] else ""
    late = f"not running after {waited:.0f} s (status: {status}{message})"
    if deadline < limits.boot_ends(born, changed):
        raise errors.RentalFailed(instance_id, "time", f"{late}; {errors.TIME_OVER}")
    raise errors.RentalFailed(instance_id, "boot", late)


def find(market: Market, instance_id: int, label: str | None = None, age_seconds: float = 0.0) -> Instance | None:
    """Return an instance out of the list; None says little, `is_absent` says when it says something.

    Raises OutcomeUnknown where its row is there and does not parse.
    """
    rows = market.instances(label, age_seconds)
    if odd := next((row for row in set_aside(rows) if row.id == instance_id), None):
        raise errors.OutcomeUnknown("list", odd.told)
    return next((instance for instance in rows if instance.id == instance_id), None)


def look_up(market: Market, instance_id: int, label: str) -> Instance | None:
    """Return an instance by the list, or by itself where the list lacks it."""
    return find(market, instance_id, label) or market.show(instance_id)


def surplus(market: Market, instance_id: int, label: str) -> list[Instance]:
    """Return what carries the label besides an instance: somebody else who created the same died over it."""
    return [instance for instance in by_id(market.instances(label)) if instance.id != instance_id]


def is_absent(market: Market, clock: RentingClock, limits: Limits, instance_id: int, label: str | None = None) -> bool:
    """Say whether two lists, apart in time, and a look by id agree that there is no such instance.

    Only well-formed answers to an accepted key get here: anything else raises in the client. The caller sees to it that
    the instance is older than the settling time.
    """
    if find(market, instance_id, label) is not None:
        return False
    clock.sleep(limits.look_seconds)
    return market.show(instance_id) is None and find(market, instance_id, label) is None


def give_back(
    market: Market,
    clock: RentingClock,
    limits: Limits,
    instance_id: int,
    usd_per_hour: float | None = None,
    rented_at: float = float("-inf"),
) -> None:
    """Destroy an instance and return once the market confirms that it is gone.

    Absence says nothing within the settling time after `rented_at` (monotonic seconds): a destroy that comes so early may
    meet a market that does not know the instance yet. Works on without an engine. Only looks count against
    `destroy_seconds`, and only from the first accepted destroy on: how long many at once wait for their turns does not. A
    market that does not answer is waited for longer than one that answers and does nothing.
    Raises StillRented, with the command that ends the cost, where the market could not be brought to confirm it.
    """
    believed = rented_at + limits.settle_seconds
    again, hidden = float("-inf"), False
    looked = lost = 0.0
    cause = "the market still lists it"
    with clock.patient():
        while looked < limits.destroy_seconds and lost < limits.outage_seconds:
            began = clock.monotonic()
            try:
                if began >= again:
                    market.destroy(instance_id)
                    again = clock.monotonic() + DESTROY_AGAIN_LOOKS * limits.look_seconds
                absent = is_absent(market, clock, limits, instance_id)
                if absent and clock.monotonic() >= believed:
                    return
                again = again if absent or not hidden else float("-inf")
                hidden = absent
                looked += limits.look_seconds
            except errors.CredentialsRefused as error:
                raise errors.StillRented(instance_id, usd_per_hour, str(error)) from error
            except errors.DOUBTS as doubt:
                cause = str(doubt)
                # In a queue of many a doubt comes late, and is still one.
                lost += min(clock.monotonic() - began, limits.destroy_seconds) + limits.look_seconds
            except (errors.VastError, OSError) as error:  # a full disk: our own books cannot be written
                cause = str(error)
                looked += limits.look_seconds
            clock.sleep(limits.look_seconds)
    raise errors.StillRented(instance_id, usd_per_hour, cause)


def give_back_all(market: Market, clock: RentingClock, limits: Limits, instances: Iterable[Instance]) -> None:
    """Give back several; every one is tried before the first failure is raised."""
    failures: list[errors.StillRented] = []
    for instance in instances:
        try:
            give_back(market, clock, limits, instance.id, instance.dph_total)
        except errors.StillRented as error:
            failures.append(error)
    if failures:
        raise failures[0]


def by_id(instances: Iterable[Instance]) -> list[Instance]:
    """Order instances by id: the lowest is the one that stays wherever there are several under one label."""
    return sorted(instances, key=lambda instance: instance.id)
