"""The end of a stack's rentals: whatever carries its id is given back, whether state knows it or not."""

from contextlib import suppress

from providers.engine_watch import RentingClock
from providers.vast import account, label
from providers.vast.errors import VastError
from providers.vast.instances import all_known
from providers.vast.limits import Limits
from providers.vast.online import Say
from providers.vast.renting import Market, give_back_all
from providers.vast.rows import Odd, set_aside
from providers.vast.sweep import hours_late


class NotAsked(VastError):
    """The market could not be asked what is rented under a stack's id, or its answer leaves that in doubt."""


def end_rentals(
    market: Market, clock: RentingClock, limits: Limits, stack_id: str, say: Say, known_account: int | None = None
) -> None:
    """Give back what still carries the stack's id, on the account that state knows, if it knows one.

    Raises StillRented for what is not confirmed, NotAsked, and OtherAccount or AccountUnknown where nothing is there to be
    seen with this key. A row without a readable id or label may be of the stack: it is counted in NotAsked, after the
    others are given back.
    """
    try:
        listed = market.instances()
    except VastError as error:
        raise NotAsked(
            f"whether anything is still rented under {label.PREFIX}/{stack_id}/ could not be asked: {error}. "
            "Run `pulumi destroy` again, or look on the market's console."
        ) from error
    left = [row for row in all_known(listed) if _carries(row.label, stack_id)]
    if not left:
        account.confirm(market, known_account, f"Whatever carries {label.PREFIX}/{stack_id}/ was rented")
    for row in left:
        say("give back", f"instance {row.id} ({row.label}), which no state knows")
    give_back_all(market, clock, limits, left)
    if doubtful := [row for row in set_aside(listed) if _may_carry(row, stack_id)]:
        rows = "1 row" if len(doubtful) == 1 else f"{len(doubtful)} rows"
        raise NotAsked(
            f"{rows} of the market's list cannot be read ({doubtful[0].told}), so an instance may still be rented, and cost, "
            f"under {label.PREFIX}/{stack_id}/. Run `pulumi destroy` again, or look on the market's console."
        )
    say("confirm gone", f"nothing is rented under {label.PREFIX}/{stack_id}/ any more")


def is_rented(market: Market, stack_id: str) -> bool:
    """Say whether the account has anything that carries the stack's id."""
    return any(_carries(row.label, stack_id) for row in all_known(market.instances()))


def tell_late_boots(market: Market, now: float, limits: Limits, stack_id: str, say: Say) -> None:
    """Say which instances with the stack's id boot for longer than anybody waits: no timer of theirs runs. Never raises.

    Which of them a state knows cannot be told from here, and a machine that is started again says the same of itself.
    """
    with suppress(VastError):
        for row in all_known(market.instances()):
            hours = hours_late(row, now, limits) if _carries(row.label, stack_id) else None
            if hours is not None:
                say(
                    "look",
                    f"instance {row.id} ({row.label}) has been {row.actual_status or 'scheduled'} for up to {hours:.1f} h, "
                    f"at ${row.dph_total or 0:.3f}/h at most. If no state knows it, nobody else ends it: "
                    "`python -m providers.vast sweep --destroy`",
                )


def _carries(text: str | None, stack_id: str) -> bool:
    mark = label.parse(text)
    return mark is not None and mark.stack_id == stack_id


def _may_carry(row: Odd, stack_id: str) -> bool:
    """Say whether a row that did not parse may be of the stack, and cannot be given back."""
    return row.label is None or (row.id is None and _carries(row.label, stack_id))
