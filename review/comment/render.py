"""Render a review as one comment of Markdown, at most 20,000 letters by construction. Pure.

Each part has a room of its own, and the rooms together are less than the bound. A part counts the lines that have no room:
`and 37 more`. GitHub refuses a comment over 65,536 letters, so its readers would see nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from config.masking import masked
from review.comment import tables
from review.comment.bounded import fitting
from review.comment.quote import code, commit, prose
from review.report import CONFIG_ALONE, Action, Binding, Outcome, PolicyResult, Review, Verdict
from review.totals import counts, expected, running, total

MOST = 20_000
# Room of each part, in letters. With the blank lines between them they stay below MOST.
HEAD, TROUBLE, INSTANCES, MONEY, OFFERS, MODELS, RISKS, POLICY, BOUND = (
    1100,
    3300,
    6600,
    1500,
    2900,
    2300,
    1000,
    900,
    300,
)
MARKS = {
    Verdict.FINE: "✅",
    Verdict.WARNS: "⚠️",
    Verdict.REFUSED: "❌",
    Verdict.NOT_AS_REVIEWED: "⛔",
    Verdict.MARKET_SILENT: "❔",
}
OUTCOMES = {Outcome.OK: "✅", Outcome.WARNS: "⚠️", Outcome.REFUSES: "❌"}
SAYS = {
    Verdict.FINE: "Can be merged.",
    Verdict.WARNS: "Can be merged.",
    Verdict.REFUSED: "Must not be merged as it is.",
    Verdict.NOT_AS_REVIEWED: "Not as reviewed: nothing is rented.",
    Verdict.MARKET_SILENT: (
        "Prices and offers are unknown: the market was not asked or did not answer. Run the review again once it answers."
    ),
}


@dataclass(frozen=True)
class Comment:
    """A comment for a forge.

    `marker` is its first line. `body` is empty if nothing changes, so that nothing is to be posted. `over_old` then replaces
    an earlier comment, which is no longer true.
    """

    marker: str
    body: str
    over_old: str


def marker(stack: str) -> str:
    """Return the first line of a stack's comment, by which the next review finds it."""
    plain = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._/") else "-" for letter in masked(stack)
    )
    return f"<!-- gpu-fleet review {plain[:120]} -->"


def comment(review: Review) -> Comment:
    """Return a review's comment."""
    first = marker(review.stack)
    quiet = not review.changes_anything and review.verdict not in {Verdict.REFUSED, Verdict.NOT_AS_REVIEWED}
    over_old = (
        f"{first}\n### ✅ {prose(review.stack, 120)}: nothing changes any more\n\n{_bound(review.binding)}".strip()
    )
    return Comment(first, "" if quiet else _body(review, first), f"{over_old}\n")


def _body(review: Review, first: str) -> str:
    parts = [
        [first, title(review), summary(review)],
        fitting(trouble(review), TROUBLE, lambda kept: f"- and {len(trouble(review)) - kept} more"),
        tables.instances(review, INSTANCES) if review.instances else [],
        tables.money(review.periods, MONEY),
        tables.offers(review, OFFERS),
        tables.models(review.models, MODELS),
        _risks(review),
        [_policy(review)],
        [_bound(review.binding)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if any(part)) + "\n"


def title(review: Review) -> str:
    """Return the verdict line: the number of instances by action, and their price an hour before and after."""
    if review.verdict is Verdict.REFUSED and not review.instances:
        return f"### {MARKS[review.verdict]} {prose(review.stack, 120)}: not judged, because the program refuses its config"
    told = [f"{count} {action.value}" for action, count in counts(review.instances).items() if _acts(action)]
    what = ", ".join(told) or "no instance changes"
    now, then = total(map(running, review.instances)), total(map(expected, review.instances))
    return f"### {MARKS[review.verdict]} {prose(review.stack, 120)}: {what} · {_hourly(now, then)}"


def _acts(action: Action) -> bool:
    return action is not Action.UNCHANGED


def _hourly(now: float | None, then: float | None) -> str:
    if now is None and then is None:
        return "the price an hour is unknown"
    if now is None or then is None:
        return f"{_each(now)} → {_each(then)}"
    change = then - now
    return f"${now:.2f}/h → ${then:.2f}/h ({'+' if change >= 0 else '-'}${abs(change):.2f})"


def _each(usd: float | None) -> str:
    return "unknown" if usd is None else f"${usd:.2f}/h"


def summary(review: Review) -> str:
    """Return the sentences below the verdict: whether to merge, budgets, and how old the facts are."""
    says = [SAYS[review.verdict]]
    over = [
        one for one in review.periods if one.budget and one.ceiling is not None and one.ceiling > one.budget + 0.005
    ]
    if over:
        names = " and ".join(prose(one.name, 60) for one in over[:2])
        says.append(f"At the ceilings it would exceed the budget of {names}.")
    if review.standing_at is None and not any(CONFIG_ALONE in one for one in review.warnings):
        says.append("Nothing tells what runs now, so the review judges by config alone.")
    elif review.standing_at is not None:
        at = datetime.fromtimestamp(review.standing_at, UTC)
        says.append(f"The running instances are as published on {at:%Y-%m-%d %H:%M} UTC.")
    return " ".join(says)


def trouble(review: Review) -> list[str]:
    """Return lines for refusals, then flagged edits, warnings, and fleets whose offers are unknown."""
    refusals = [*review.refusals]
    for fleet in review.fleets:
        if fleet.refusal and not any(fleet.refusal in one for one in refusals):
            refusals.append(f"{fleet.name}: {fleet.refusal}")
    return [
        *(f"- ❌ {prose(_one_line(one))}" for one in refusals),
        *(f"- 🚩 reported, but not acted on: {prose(one)}" for one in review.flagged),
        *(f"- ⚠️ {prose(one)}" for one in review.warnings),
        *(f"- ❔ {code(fleet.name, 40)}: {prose(fleet.trouble)}" for fleet in review.fleets if fleet.trouble),
    ]


def _one_line(text: str) -> str:
    """Return the lines of a refusal as clauses of one line."""
    first, *rest = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    for line in rest:
        first += f"{' ' if first.endswith((':', '.', ';')) else '; '}{line}"
    return first


def _risks(review: Review) -> list[str]:
    if not review.risks:
        return []
    lines = [f"- {tables.sentence(one)}" for one in review.risks]
    return ["**Risks**", "", *fitting(lines, RISKS, lambda kept: f"- and {len(lines) - kept} more")]


def _policy(review: Review) -> str:
    if not review.policy:
        return ""
    return f"**Policy** {' · '.join(_short(policy_rules(review), POLICY - 60))}"


def policy_rules(review: Review) -> list[str]:
    """Return the outcome of each rule, the worst first."""
    rules = sorted(review.policy, key=_weight)
    return [_rule(f"{OUTCOMES[one.outcome]} {prose(one.rule, 40)}", one.says) for one in rules]


def _weight(one: PolicyResult) -> int:
    return [Outcome.REFUSES, Outcome.WARNS, Outcome.OK].index(one.outcome)


def _rule(name: str, says: str) -> str:
    return f"{name}: {prose(says, 160)}" if says else name


def _short(told: Sequence[str], room: int) -> list[str]:
    return fitting(told, room - 2 * len(told), lambda kept: f"and {len(told) - kept} more")


def _bound(binding: Binding | None) -> str:
    if binding is None:
        return ""
    return (
        f"<sub>Bound: head {commit(binding.head)} on {commit(binding.base)} · review `sha256:{binding.digest[:12]}…` · "
        f"price drift {binding.price_drift:.0%} · valid {binding.valid_hours:g} h</sub>"
    )
