"""Search the market and rank: the offers to try, in order, with the ledger's knowledge of machines."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bootstrap.services import Progress
from providers.ledger.machine_history import MachineHistory, avoided
from providers.vast.api.market import Market
from providers.vast.api.offer import Offer
from providers.vast.api.rows import Listing, describe_odd_rows, set_aside
from providers.vast.search import query, ranking
from providers.vast.search.requirements import Requirements
from providers.vast.search.unfit_gpus import queries
from providers.vast.search.why_not import NoMatchingOffer, refusal


def check(market: Market, requirements: Requirements) -> list[Offer]:
    """Check in the preview that the market accepts the key and has offers that fit. Returns these offers.

    It asks about the key separately, because the market was seen to answer searches without a valid one. Raises
    NoMatchingOffer and the client's errors.
    """
    market.verify_key()
    return find_offers(market, requirements)


def find_offers(
    market: Market, requirements: Requirements, records: Mapping[int, MachineHistory] | None = None
) -> list[Offer]:
    """Return the offers that fit, best first. Raises NoMatchingOffer, with the nearest misses, if none fits."""
    return _found(market, requirements, records)[0]


def _found(
    market: Market,
    requirements: Requirements,
    records: Mapping[int, MachineHistory] | None,
    one_per_machine: bool = True,
) -> tuple[list[Offer], Sequence[Offer]]:
    """Return the offers that fit, and all listed offers. Raises NoMatchingOffer."""
    listed = _listed(market, queries(requirements))
    ranked = ranking.rank(listed, requirements, records, one_per_machine)
    if not ranked:
        near = market.search(query.relaxed_query(requirements))
        odd = describe_odd_rows(set_aside(near) or set_aside(listed), "offer")
        refused = refusal(near, requirements)
        raise NoMatchingOffer("\n".join(filter(None, [refused.message, odd and f"{odd}."])), refused.key)
    return ranked, listed


def candidates(
    market: Market,
    requirements: Requirements,
    records: Mapping[int, MachineHistory],
    now: float,
    report_progress: Progress,
) -> tuple[list[Offer], list[dict[str, Any]]]:
    """Return the offers to try, with all slices of each machine, and the queries that found them.

    Avoids the machines that the ledger advises against, unless no other offer fits. `now` is in unix seconds. Raises
    NoMatchingOffer.
    """
    until = avoided(records, now)
    if until:
        careful = replace(requirements, avoided_machines=requirements.avoided_machines | until.keys())
        asked = queries(careful)
        listed = _listed(market, asked)
        found = ranking.rank(listed, careful, records, one_per_machine=False)
        if found:
            _report_left_out(listed, report_progress)
            report_progress("search", f"{_machines(until)} that failed before avoided")
            return found, asked
    ranked, near = _found(market, requirements, records, one_per_machine=False)
    _report_left_out(near, report_progress)
    if until:
        report_progress("search", "nothing fits but what failed before; trying that all the same")
    return ranked, queries(requirements)


def _listed(market: Market, asked: Sequence[dict[str, Any]]) -> Listing[Offer]:
    answers = [market.search(query) for query in asked]
    return Listing(itertools.chain(*answers), itertools.chain(*map(set_aside, answers)))


def _report_left_out(listed: Sequence[Offer], report_progress: Progress) -> None:
    if odd := describe_odd_rows(set_aside(listed), "offer"):
        report_progress("search", odd)


def _machines(until: Mapping[int, float]) -> str:
    return "1 machine" if len(until) == 1 else f"{len(until)} machines"
