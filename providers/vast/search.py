"""Search and rank against the market: which offers are tried, in which order, with what the ledger knows of machines."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from providers.vast import offers
from providers.vast.errors import NoMatchingOffer
from providers.vast.offers import Offer, Wishes
from providers.vast.record import Record, avoided
from providers.vast.renting import Market


def check(market: Market, wishes: Wishes) -> list[Offer]:
    """Say in the preview what would fail later: a key that the market does not know, a wish that nobody fulfils.

    The key is asked about by itself, because the market was seen to answer searches without one. Returns the offers that
    fit; raises NoMatchingOffer and what the client raises.
    """
    market.verify_key()
    return find_offers(market, wishes)


def find_offers(
    market: Market, wishes: Wishes, turn: int = 0, records: Mapping[int, Record] | None = None
) -> list[Offer]:
    """Return the offers that fit, the best first. Raises NoMatchingOffer, with the nearest misses, where nothing does."""
    ranked = offers.rank(market.search(offers.query(wishes)), wishes, turn, records)
    if not ranked:
        raise NoMatchingOffer(offers.refusal(market.search(offers.relaxed_query(wishes)), wishes))
    return ranked


def candidates(
    market: Market,
    wishes: Wishes,
    turn: int,
    records: Mapping[int, Record],
    now: float,
    say: Callable[[str, str], None],
) -> tuple[list[Offer], dict[str, Any]]:
    """Return the offers to try and the query that found them: without the machines that the ledger advises against (`now`
    is in unix seconds), and with them only where nothing else fits.

    Raises NoMatchingOffer.
    """
    until = avoided(records, now)
    if until:
        careful = replace(wishes, avoided_machines=wishes.avoided_machines | until.keys())
        query = offers.query(careful)
        found = offers.rank(market.search(query), careful, turn, records)
        if found:
            say("search", f"{_machines(until)} that failed before avoided")
            return found, query
    ranked = find_offers(market, wishes, turn, records)
    if until:
        say("search", "nothing fits but what failed before; trying that all the same")
    return ranked, offers.query(wishes)


def _machines(until: Mapping[int, float]) -> str:
    return "1 machine" if len(until) == 1 else f"{len(until)} machines"
