"""Build the reports of the commands, for people and for programs. Pure, except for the market that `why_not` asks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.ledger.machine_history import MachineHistory, avoided
from providers.vast.api.errors import StillRented
from providers.vast.api.instance import Instance, unsound
from providers.vast.api.market import Market
from providers.vast.pulumi_state import StackState
from providers.vast.renting.look import by_id
from providers.vast.renting.ownership import Finding, Kind
from providers.vast.search import mismatches, prices
from providers.vast.search.requirements import Requirements
from providers.vast.search.search import find_offers


@dataclass(frozen=True)
class AdoptionForecast:
    """Whether the next `up` adopts an instance, and the reason."""

    adopts: bool
    text: str


def report(
    found: Sequence[Finding], known: Sequence[StackState], ended: Mapping[int, StillRented | None]
) -> dict[str, Any]:
    """Return a sweep as plain values: instances with their kinds, $/h by kind, and states that cannot be read."""
    rows = [
        {
            "id": one.instance.id,
            "label": one.instance.label,
            "kind": one.kind.value,
            "why": one.why,
            "status": one.instance.actual_status,
            "usd_per_hour": round(one.usd_per_hour, 6),
            "outcome": _outcome(one, ended),
        }
        for one in found
    ]
    prices = {kind: [one.usd_per_hour for one in found if one.kind is kind] for kind in Kind}
    kinds = {kind.value: {"instances": len(each), "usd_per_hour": round(sum(each), 6)} for kind, each in prices.items()}
    unread = [{"stack": state.stack, "trouble": state.trouble} for state in known if state.trouble]
    return {"stack": known[0].stack, "instances": rows, "kinds": kinds, "unreadable": unread}


def _outcome(finding: Finding, ended: Mapping[int, StillRented | None]) -> str | None:
    if finding.instance.id not in ended:
        return None
    error = ended[finding.instance.id]
    return "given back, and the market confirms it" if error is None else str(error)


def describe_findings(swept: Mapping[str, Any], destroys: bool) -> str:
    """Format a sweep's report for people."""
    lines = [f"The state of {row['stack']} cannot be read ({row['trouble']})." for row in swept["unreadable"]]
    if swept["unreadable"]:
        lines += [
            "An instance that only such a state has shows as unknown. Repair the state before you give anything back.",
            "",
        ]
    width = max((len(row["kind"]) for row in swept["instances"]), default=0)
    for row in swept["instances"]:
        price = f"${row['usd_per_hour']:.3f}/h"
        lines.append(f"{row['id']}  {row['kind']:{width}}  {price:>9}  {row['label'] or 'no label'}: {row['why']}")
        if row["outcome"]:
            lines.append(f"  {row['outcome']}")
    for kind, sums in swept["kinds"].items():
        if sums["instances"]:
            lines.append(f"{sums['instances']} {kind}, ${sums['usd_per_hour']:.3f}/h together")
    if not swept["instances"]:
        lines.append("Nothing is rented on this account.")
    return "\n".join([*lines, *_next_steps(swept["kinds"], destroys)])


def _next_steps(kinds: Mapping[str, Any], destroys: bool) -> list[str]:
    steps = []
    if kinds[Kind.UNKNOWN.value]["instances"] and not destroys:
        steps.append(
            "`gpu-fleet sweep --destroy` gives back what is ours-but-unknown; `gpu-fleet adopt LABEL` has `pulumi up` "
            "take one over."
        )
    if kinds[Kind.CREATING.value]["instances"]:
        steps.append(
            "ours-being-created: `pulumi up` takes it over. If no update is running and you do not want it: "
            "`gpu-fleet sweep --destroy --interrupted`."
        )
    return steps


def forecast_adoption(listed: Iterable[Instance], image: str, requirements: Requirements) -> AdoptionForecast:
    """Predict whether the next `up` adopts an instance under one label.

    It knows no marks, so it names the sound instance with the lowest id. An update prefers the marked instance; see
    `renting.adopt`.
    """
    rows = by_id(listed)
    if not rows:
        return AdoptionForecast(
            False, "the account has no instance under that label; `gpu-fleet sweep` lists those there are"
        )
    flaws = {
        row.id: unsound(row, image, requirements.gpu_names, requirements.gpu_count, requirements.disk_gb)
        for row in rows
    }
    sound = [row.id for row in rows if not flaws[row.id]]
    if not sound:
        named = "; ".join(f"instance {number} {', '.join(why)}" for number, why in flaws.items())
        return AdoptionForecast(False, f"`pulumi up` would not take it over but give it back and rent another: {named}")
    lines = [f"`pulumi up` takes over instance {sound[0]}: it looks sound, and is proven with a completion."]
    lines += [f"Instance {row.id} is surplus and is given back." for row in rows if row.id != sound[0]]
    return AdoptionForecast(True, "\n".join(lines))


def why_not(
    market: Market,
    offer_id: int,
    fleet: str,
    requirements: Requirements,
    records: Mapping[int, MachineHistory],
    now: float,
) -> list[str]:
    """Return which requirements of a fleet an offer fails, or its place in the ranking. Raises the client's errors."""
    rows = market.search({"ask_contract_id": {"eq": offer_id}, "limit": 1, "allocated_storage": requirements.disk_gb})
    if not rows:
        return [f"The market does not list offer {offer_id}: it was rented or withdrawn, or its number was mistyped."]
    offer = rows[0]
    facts = f"{offer.num_gpus} x {offer.gpu_name}, machine {offer.machine_id}, {offer.geolocation or 'somewhere'}"
    price = prices.usd_per_hour(offer, requirements)
    lines = [f"offer {offer_id}: {facts}, ${price:.3f}/h all-in for the fleet {fleet}"]
    failed = mismatches.mismatches(offer, requirements)
    lines += [f"  fails {miss.key}: it {miss.text}" for miss in failed]
    until = avoided(records, now).get(offer.machine_id)
    if until is not None:
        last = records[offer.machine_id].last_reason
        lines.append(f"  avoided for {(until - now) / 3600:.1f} h more: its machine failed before ({last})")
    if failed or until is not None:
        return lines
    ranked = find_offers(market, requirements, records=records)
    place = next((number for number, other in enumerate(ranked, 1) if other.machine_id == offer.machine_id), None)
    ahead = f"tried as number {place} of {len(ranked)}" if place else f"not among the {len(ranked)} best"
    return [*lines, f"  fulfils every requirement; {ahead}, by the expected price of an hour that works"]
