"""Compare the approved review with the review of now and the engine's plan, before an apply rents. Pure rules.

Whatever is worse than approved, unknown now, or was never shown is a sentence. One sentence is enough to stop an apply.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from providers.engine_events import Step
from providers.vast.pulumi_state import INSTANCE
from review.approved import Approved, ApprovedInstance, ApprovedPrice
from review.report import Action, InstanceReview, Outcome, PeriodReview, PolicyResult, Review, Row, Verdict

CLOCKS_DIFFER_SECONDS = 300.0
PRICE_DRIFT, VALID_HOURS = 0.15, 24.0  # the most that a file may allow itself
ROUNDING = 1e-9
SLOT = re.compile(r".+-s[0-9]+")  # the controller starts and ends it, and no update of this stack
RENTS = (Action.RENTED, Action.ANOTHER_MACHINE)
# The actions that may replace an approved one, because they do less.
LESS: Mapping[Action, tuple[Action, ...]] = {
    Action.UNCHANGED: (),
    Action.RECORDED: (Action.UNCHANGED,),
    Action.IN_PLACE: (Action.UNCHANGED, Action.RECORDED),
    Action.ANOTHER_MACHINE: (Action.UNCHANGED, Action.RECORDED, Action.IN_PLACE),
    Action.RENTED: (Action.UNCHANGED, Action.RECORDED),
    Action.GIVEN_BACK: (),
}
OUTCOMES = (Outcome.OK, Outcome.WARNS, Outcome.REFUSES)  # each worse than the one before
VERDICTS = (Verdict.FINE, Verdict.WARNS)  # those that can be applied, the better one first
# By the engine's word: the approved actions under which a step may be planned. A mend in place rents nothing.
PLANNED: Mapping[str, tuple[Action, ...]] = {
    "create": (Action.RENTED,),
    "create-replacement": (Action.ANOTHER_MACHINE,),
    "replace": (Action.ANOTHER_MACHINE,),
    "delete-replaced": (Action.ANOTHER_MACHINE,),
    "delete": (Action.GIVEN_BACK,),
    "update": tuple(one for one in Action if one is not Action.GIVEN_BACK),
    "same": tuple(Action),
}
DOES = {
    "create": "rent it",
    "create-replacement": "rent another machine for it",
    "replace": "take another machine for it",
    "delete-replaced": "give its machine back",
    "delete": "give it back",
    "update": "change it",
}


class Rented(Row):
    """One instance that an apply rented: its charge, the shown price, and the ceiling. In US dollars an hour."""

    name: str
    instance_id: int | None
    charged: float | None
    shown: float | None
    ceiling: float | None


def differences(approved: Approved, fresh: Review, now: float) -> tuple[str, ...]:
    """Say in what the review of now is worse than the approved one; empty if it may be applied. `now` in unix seconds."""
    found = [*_of_binding(approved, fresh, now), *_of_verdict(approved, fresh)]
    found += _of_instances(approved, fresh)
    found += _of_budgets(approved.budget, fresh.periods)
    found += _of_policy(approved.policy, fresh.policy)
    return tuple(dict.fromkeys(found))


def _of_binding(approved: Approved, fresh: Review, now: float) -> Iterator[str]:
    then = approved.binding
    if approved.stack != fresh.stack:
        yield f"The approved review is of stack {approved.stack}, this one of {fresh.stack}."
    if fresh.binding is None:
        yield "The review of now is bound to no commit, so that nothing can be compared."
        return
    for what, key in (("config", "config"), ("manifests", "manifests"), ("program", "program")):
        old, new = str(getattr(then, key)), str(getattr(fresh.binding, key))
        if old != new:
            yield f"The {what} to apply has another digest than the approved one: {old[:12]} then, {new[:12]} now."
    hours = min(then.valid_hours, fresh.binding.valid_hours, VALID_HOURS)
    age = now - then.at
    if not age >= -CLOCKS_DIFFER_SECONDS:
        yield f"The approved review is from {_moment(then.at)}, which is to come; the clocks differ."
    if not age <= hours * 3600:
        yield f"The approved review is from {_moment(then.at)}, more than {hours:g} hours ago."


def _of_verdict(approved: Approved, fresh: Review) -> Iterator[str]:
    if approved.verdict not in VERDICTS or approved.refusals:
        yield f"The approved review says {approved.verdict.value}: such an edit is not applied."
    for refusal in fresh.refusals:
        yield f"The review of now refuses: {refusal}"
    if fresh.verdict not in VERDICTS:
        yield f"The review of now says {fresh.verdict.value}."
    elif approved.verdict in VERDICTS and VERDICTS.index(fresh.verdict) > VERDICTS.index(approved.verdict):
        yield f"The review of now {fresh.verdict.value}; the approved one was {approved.verdict.value}."
    for flag in fresh.flagged:
        if flag not in approved.flagged:
            yield f"Not seen when it was approved: {flag}"


def _of_instances(approved: Approved, fresh: Review) -> Iterator[str]:
    shown = {one.name: one for one in approved.instances}
    seen = {one.name: one for one in fresh.instances}
    drift = min(approved.binding.price_drift, fresh.binding.price_drift if fresh.binding else 0.0, PRICE_DRIFT)
    if len(seen) != len(fresh.instances):
        yield "The review of now names an instance twice."
    for name, now in seen.items():
        then = shown.get(name)
        if SLOT.fullmatch(name):
            continue
        if then is None:
            if now.action is not Action.UNCHANGED:
                yield f"{name}: it would be {now.action.value}, and the approved review does not name it."
            continue
        if now.action is not then.action and now.action not in LESS[then.action]:
            yield f"{name}: it would be {now.action.value}; approved: {then.action.value}."
        elif now.action in RENTS:
            yield from _of_price(then, now, drift)
    for name, one in shown.items():
        if name not in seen and one.action is not Action.GIVEN_BACK and not SLOT.fullmatch(name):
            yield f"{name}: approved as {one.action.value}, and the review of now does not name it."


def _of_price(then: ApprovedInstance, now: InstanceReview, drift: float) -> Iterator[str]:
    shown, asked = then.usd_per_hour, now.usd_per_hour
    if asked.then is None or shown.then is None:
        yield f"{now.name}: its price {'is unknown now' if asked.then is None else 'was unknown when it was approved'}."
    elif not asked.then <= shown.then * (1 + max(0.0, drift)) + ROUNDING:
        yield (
            f"{now.name}: ${asked.then:.3f}/h now, ${shown.then:.3f}/h when it was approved, "
            f"more than the {drift:.0%} that a price may rise."
        )
    if shown.ceiling is not None and (asked.ceiling is None or not asked.ceiling <= shown.ceiling + ROUNDING):
        new = "none" if asked.ceiling is None else f"${asked.ceiling:.3f}/h"
        yield f"{now.name}: its ceiling is {new} now; approved: ${shown.ceiling:.3f}/h."
    elif shown.ceiling is None and asked.ceiling is not None:
        yield f"{now.name}: its ceiling is ${asked.ceiling:.3f}/h now; the approved review names none."


def _of_budgets(approved: Iterable[PeriodReview], fresh: Iterable[PeriodReview]) -> Iterator[str]:
    now = {one.name: one for one in fresh}
    for then in approved:
        seen = now.pop(then.name, None)
        if seen is None:
            yield f"The review of now has no figures for {then.name}."
            continue
        if seen.budget != then.budget:
            yield f"The budget for {then.name} is {_usd(seen.budget, 'none')}; approved: {_usd(then.budget, 'none')}."
        yield from _of_figure("expected", then.expected, seen.expected, then, seen)
        yield from _of_figure("at the ceilings", then.ceiling, seen.ceiling, then, seen)
    for name, seen in now.items():
        if seen.budget is not None:
            yield f"The budget for {name} is {_usd(seen.budget)}; the approved review names none."


def _of_figure(
    what: str, old: float | None, new: float | None, then: PeriodReview, seen: PeriodReview
) -> Iterator[str]:
    if old is not None and new is None:
        yield f"What {then.name} costs ({what}) is unknown now; approved: {_usd(old)}."
    elif _over(new, seen.budget) and not _over(old, then.budget):
        yield f"{then.name} would cost {_usd(new)} ({what}), over its budget of {_usd(seen.budget)}; approved: {_usd(old)}."


def _over(usd: float | None, budget: float | None) -> bool:
    return usd is not None and budget is not None and not usd <= budget + ROUNDING


def _of_policy(approved: Iterable[PolicyResult], fresh: Iterable[PolicyResult]) -> Iterator[str]:
    then, now = _worst(approved), _worst(fresh)
    for rule, outcome in now.items():
        old = then.get(rule, Outcome.OK)
        if OUTCOMES.index(outcome) > OUTCOMES.index(old):
            yield f"Policy {rule}: {outcome.value} now; approved: {old.value}."
    for rule in then:
        if rule not in now:
            yield f"Policy {rule}: the review of now does not judge it."


def _worst(results: Iterable[PolicyResult]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for one in results:
        found[one.rule] = max(found.get(one.rule, Outcome.OK), one.outcome, key=OUTCOMES.index)
    return found


def unplanned(fresh: Review, planned: Iterable[Step]) -> tuple[str, ...]:
    """Say which steps of the engine's plan the review did not show; empty if the plan may be carried out.

    A step that mends an instance in place, as an update does with drift or a certificate that ends soon, is none: it rents
    nothing. Other parts of the stack than instances rent nothing, either.
    """
    seen = {one.name: one.action for one in fresh.instances}
    found = []
    for step in planned:
        if step.type != INSTANCE:
            continue
        action = seen.get(step.name)
        if action is None or action not in PLANNED.get(step.operation, ()):
            does = DOES.get(step.operation, step.operation)
            shown = f"the review says {action.value}" if action else "the review does not name it"
            found.append(f"{step.name}: the plan would {does}; {shown}.")
    return tuple(dict.fromkeys(found))


def rented_of(steps: Iterable[Step], approved: Approved) -> tuple[Rented, ...]:
    """Return the instances that an update rented, by name, each with its charge and the shown price."""
    shown = {one.name: one.usd_per_hour for one in approved.instances}
    found = []
    for step in steps:
        if step.type != INSTANCE or step.failed or step.operation not in ("create", "create-replacement"):
            continue
        price = shown.get(step.name, ApprovedPrice(then=None, ceiling=None))
        charged = _number(step.outputs.get("chargedUsdPerHour"))
        found.append(
            Rented(
                name=step.name,
                instance_id=_whole(step.outputs.get("instanceId")),
                charged=_number(step.outputs.get("usdPerHour")) if charged is None else charged,
                shown=price.then,
                ceiling=price.ceiling,
            )
        )
    return tuple(sorted(found, key=lambda one: one.name))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _usd(usd: float | None, absent: str = "unknown") -> str:
    return absent if usd is None else f"${usd:.2f}"


def _moment(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "an impossible moment"
