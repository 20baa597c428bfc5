"""The end of a stack's rentals: whatever carries its id is given back, whether state knows it or not."""

from providers.engine_watch import RentingClock
from providers.vast import label
from providers.vast.errors import VastError
from providers.vast.instances import all_known
from providers.vast.limits import Limits
from providers.vast.online import Say
from providers.vast.renting import Market, give_back_all


class NotAsked(VastError):
    """The market could not be asked what is rented under a stack's id."""


def end_rentals(market: Market, clock: RentingClock, limits: Limits, stack_id: str, say: Say) -> None:
    """Give back what still carries the stack's id. Raises NotAsked, and StillRented for what is not confirmed."""
    try:
        rows = all_known(market.instances())
    except VastError as error:
        raise NotAsked(
            f"whether anything is still rented under {label.PREFIX}/{stack_id}/ could not be asked: {error}. "
            "Run `pulumi destroy` again, or look on the market's console."
        ) from error
    left = [row for row in rows if (mark := label.parse(row.label)) and mark.stack_id == stack_id]
    for row in left:
        say("give back", f"instance {row.id} ({row.label}), which no state knows")
    give_back_all(market, clock, limits, left)
    say("confirm gone", f"nothing is rented under {label.PREFIX}/{stack_id}/ any more")
