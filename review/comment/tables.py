"""The tables of a comment: instances, money, offers, models. Pure.

Each function returns lines of Markdown that never take more room than they are given.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from review.comment.bounded import fitting, listed
from review.comment.fields import cause
from review.comment.fold import Row, fold
from review.comment.quote import code, html_code, prose
from review.report import Action, FleetReview, InstanceReview, ModelReview, PeriodReview, Review

INSTANCES = ("instance", "what happens", "because of", "down for", "$/h now → then")
MONEY = ("money", "now", "expected", "at the ceilings", "budget")
OFFERS = ("fleet", "offer", "GPU", "where", "$/h all-in", "reliable", "Mb/s", "first start")
ENDS = frozenset({Action.ANOTHER_MACHINE, Action.GIVEN_BACK})
DASH = "–"
NAMES, CAUSES, FILES = 4, 4, 3
MINUTE, DAY_HOURS = 60, 24


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], room: int, left_out: Callable[[int], str] | None = None
) -> list[str]:
    """Return a table; a last row says what had no room. `left_out` gets the number of rows that had."""
    head = [_line(titles), _line(["---"] * len(titles))]
    says = left_out or (lambda kept: f"and {len(rows) - kept} more")
    left = room - sum(len(line) + 1 for line in head)
    return [
        *head,
        *fitting([_line(row) for row in rows], left, lambda kept: _line([says(kept), *[""] * (len(titles) - 1)])),
    ]


def instances(review: Review, room: int) -> list[str]:
    """Return the table of what happens to each instance. If not all of it has room, what ends a machine comes first."""
    rows = fold(review.instances)

    def made(rows: Sequence[Row]) -> list[str]:
        def left_out(kept: int) -> str:
            return f"and {sum(len(row.instances) for row in rows[kept:])} more instances"

        return table(INSTANCES, [_instance(row) for row in rows], room, left_out)

    whole = made(rows)
    is_cut = whole[-1].startswith("| and ")  # a row of instances starts with a name, which is code
    return made(sorted(rows, key=lambda row: row.action not in ENDS)) if is_cut else whole


def instance_rows(review: Review) -> list[list[str]]:
    """Return the cells of that table."""
    return [_instance(row) for row in fold(review.instances)]


def _instance(row: Row) -> list[str]:
    names = listed([code(name) for name in row.names], NAMES)
    many = f" ({len(row.instances)})" if len(row.instances) > NAMES else ""
    what = row.action.value if row.action is Action.UNCHANGED else f"**{row.action.value}**"
    if row.action is Action.ANOTHER_MACHINE:
        what += ", given back first"
    return [names + many, what, listed(map(cause, row.because), CAUSES), down_for(row.first), _prices(row)]


def down_for(one: InstanceReview) -> str:
    """Return how long clients find an endpoint closed, in words."""
    if one.action in {Action.UNCHANGED, Action.RECORDED}:
        return ""
    if one.action is Action.RENTED:
        return DASH
    if one.action is Action.GIVEN_BACK:
        return "for good"
    if one.down_seconds == 0.0:
        return "stays open"
    time = "for a time not known" if one.down_seconds is None else f"about {span(one.down_seconds)}"
    return f"{prose(one.down_why, 120)}, {time}" if one.down_why else time


def span(seconds: float) -> str:
    """Return a time in words: `40 s`, `7 min`, `1.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * MINUTE else f"{seconds / 3600:.1f} h"


def _prices(row: Row) -> str:
    if row.action in {Action.UNCHANGED, Action.RECORDED} or (row.action is Action.IN_PLACE and row.now == row.then):
        return row.now
    then = DASH if row.action is Action.GIVEN_BACK else row.then
    ceiling = row.first.usd_per_hour.ceiling
    most = f" (≤ {ceiling:.2f})" if ceiling is not None and row.action is not Action.GIVEN_BACK else ""
    return f"{DASH if row.action is Action.RENTED else row.now} → {then}{most}"


def usd(amount: float | None, over: float | None = None) -> str:
    """Return dollars; bold if they are over a bound, and `unknown` for None."""
    if amount is None:
        return "unknown"
    text = f"${amount:,.2f}"
    return f"**{text}**" if over and amount > over + 0.005 else text


def money(periods: Sequence[PeriodReview], room: int) -> list[str]:
    """Return the table of what the fleets cost in each period, against its budget."""
    return table(MONEY, money_rows(periods), room) if periods else []


def money_rows(periods: Sequence[PeriodReview]) -> list[list[str]]:
    """Return the cells of that table."""
    return [
        [
            _period(one),
            usd(one.now, one.budget),
            usd(one.expected, one.budget),
            usd(one.ceiling, one.budget),
            usd(one.budget) if one.budget else "",
        ]
        for one in periods
    ]


def _period(one: PeriodReview) -> str:
    known = [f"${one.spent:,.2f} spent"] if one.spent is not None else []
    if one.hours_left is not None and one.hours_left > DAY_HOURS:
        known.append(f"{one.hours_left / DAY_HOURS:.0f} days left")
    name = prose(one.name, 80)
    return f"{name} ({', '.join(known)})" if known else name


def offers(review: Review, room: int) -> list[str]:
    """Return what the market offers each fleet now, folded; nothing if no market was asked."""
    asked = [fleet for fleet in review.fleets if fleet.fitting is not None]
    if not asked:
        return []
    fit = listed([fits(fleet, html_code(fleet.name, 40)) for fleet in asked], 3)
    when = f"{datetime.fromtimestamp(review.asked_at, UTC):%H:%M} UTC; " if review.asked_at else ""
    rows = offer_rows(review)
    return _details(f"Offers now ({when}{fit})", table(OFFERS, rows, room - 900) if rows else ["None is listed."])


def fits(fleet: FleetReview, name: str) -> str:
    """Return how many offers fit a fleet, and between which prices."""
    if fleet.cheapest is None or fleet.dearest is None:
        return f"{fleet.fitting} fit {name}"
    low, high = f"{fleet.cheapest:.3f}", f"{fleet.dearest:.3f}"
    return f"{fleet.fitting} fit {name} at ${low}{'' if low == high else f' to ${high}'}/h"


def offer_rows(review: Review) -> list[list[str]]:
    """Return the cells of that table: the offers of each fleet whose market was asked."""
    asked = [fleet for fleet in review.fleets if fleet.fitting is not None]
    return [_offer(fleet, index) for fleet in asked for index in range(len(fleet.offers))]


def _offer(fleet: FleetReview, index: int) -> list[str]:
    one = fleet.offers[index]
    start = one.first_start_seconds
    return [
        code(fleet.name, 40),
        str(one.offer_id),
        code(one.gpu, 30),
        code(one.where, 30) if one.where else "unknown",
        f"{one.usd_per_hour:.3f}",
        "unknown" if one.reliability is None else f"{one.reliability:.1%}",
        "unknown" if one.download_mbps is None else f"{one.download_mbps:.0f}",
        "unknown" if start is None else f"{'over' if one.starts_later else 'about'} {span(start)}",
    ]


def models(found: Sequence[ModelReview], room: int) -> list[str]:
    """Return what each model needs, what a start reads, and which files of its manifest changed, folded."""
    if not found:
        return []
    return _details(
        "Models",
        fitting([model_line(one) for one in found], room - 100, lambda kept: f"- and {len(found) - kept} more"),
    )


def model_line(one: ModelReview) -> str:
    """Return a line about one model."""
    parts = [f"needs {_gib(one.need_gib)} a GPU, room {_gib(one.room_gib)}"]
    parts.append(prose(one.bucket_usd or "what leaves the bucket at a start is unknown", 200))
    if one.old_digest != one.new_digest:
        parts.append(f"manifest {_digest(one.old_digest)} → {_digest(one.new_digest)}")
    elif one.new_digest:
        parts.append(f"manifest {_digest(one.new_digest)}, unchanged")
    for word, files in (("added", one.added), ("removed", one.removed), ("changed", one.changed)):
        if files:
            parts.append(f"{len(files)} {word}: {listed([code(path, 80) for path in files], FILES)}")
    if one.flagged:
        parts.append(f"⚠️ runs code when it is loaded: {listed([code(path, 80) for path in one.flagged], FILES)}")
    return f"- {code(one.name)}: {'; '.join(parts)}"


def sentence(text: str) -> str:
    """Return a risk as a line."""
    return prose(text, 300)


def _gib(gib: float | None) -> str:
    return "unknown" if gib is None else f"{gib:.1f} GiB"


def _digest(digest: str | None) -> str:
    return "none" if digest is None else code(f"sha256:{digest[:12]}")


def _details(summary: str, lines: Sequence[str]) -> list[str]:
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
