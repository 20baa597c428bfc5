"""Judge an edit of stack config by the base branch's rules of policy. Pure.

A rule is one function, which lists what one revision violates, and one row of RULES. An edit that violates a rule worse
than the base branch does is refused. A violation that the base branch has to the same degree is a warning: the edit did not
cause it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bootstrap.gpu_names import all_market_names
from config.policy import PolicyConfig
from config.stack import StackConfig
from review.report import Outcome, PeriodReview, PolicyResult
from weights.manifest import Manifest
from weights.model_folder import runs_code

CENT = 0.005
WITHIN = "worst case within budget"


@dataclass(frozen=True)
class Revision:
    """One revision's stack config. `manifests`: by model; None for one that is missing or cannot be read."""

    config: StackConfig
    manifests: Mapping[str, Manifest | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Violation:
    """One violation of a rule. `place` is the same in both revisions; a larger `amount` is worse."""

    place: str
    says: str
    amount: float = 1.0


@dataclass(frozen=True)
class Rule:
    """A rule of policy: its name in a review, whether the policy has it, and what a revision violates."""

    name: str
    applies: Callable[[PolicyConfig], object]
    violations: Callable[[PolicyConfig, Revision], list[Violation]]


def judge(
    policy: PolicyConfig | None, base: Revision | None, head: Revision, periods: Sequence[PeriodReview] = ()
) -> tuple[PolicyResult, ...]:
    """Return the outcome of each rule that the base branch has; nothing without a policy.

    `base` is None if the base branch has no such stack. `periods` are the costs of the head.
    """
    if policy is None:
        return ()
    found = [_outcome(rule, policy, base, head) for rule in RULES if rule.applies(policy)]
    return (*found, *_budget(policy, base, head, periods), *_own_edit(policy, head))


def _outcome(rule: Rule, policy: PolicyConfig, base: Revision | None, head: Revision) -> PolicyResult:
    before = {one.place: one.amount for one in rule.violations(policy, base)} if base else {}
    now = rule.violations(policy, head)
    if worse := [one for one in now if one.amount > before.get(one.place, 0.0) + 1e-9]:
        return PolicyResult(rule=rule.name, outcome=Outcome.REFUSES, says="; ".join(one.says for one in worse))
    if now:
        says = "; ".join(one.says for one in now)
        return PolicyResult(rule=rule.name, outcome=Outcome.WARNS, says=f"{says}, as on the base branch", standing=True)
    return PolicyResult(rule=rule.name, outcome=Outcome.OK, says="")


def _verified(_: PolicyConfig, one: Revision) -> list[Violation]:
    unverified = [name for name, fleet in one.config.fleets.items() if not fleet.verified]
    return [Violation(name, f"{name} takes unverified hosts") for name in unverified]


def _pinned(_: PolicyConfig, one: Revision) -> list[Violation]:
    loose = [name for name, fleet in one.config.fleets.items() if "@sha256:" not in fleet.image]
    return [Violation(name, f"{name} has an image without a digest") for name in loose]


def _regions(policy: PolicyConfig, one: Revision) -> list[Violation]:
    found = []
    for name, fleet in one.config.fleets.items():
        if not fleet.regions:
            found.append(Violation(f"{name} anywhere", f"{name} names no regions, so its machines may stand anywhere"))
        strange = sorted(set(fleet.countries) - policy.countries)
        found += [Violation(f"{name} {country}", f"{name} may stand in {country}") for country in strange]
    return found


def _gpus(policy: PolicyConfig, one: Revision) -> list[Violation]:
    allowed = set(all_market_names(policy.gpus))
    return [
        Violation(f"{name} {gpu}", f"{name} may take the GPU {gpu}")
        for name, fleet in one.config.fleets.items()
        for gpu in all_market_names(fleet.gpu.name)
        if gpu not in allowed
    ]


def _dearest(policy: PolicyConfig, one: Revision) -> list[Violation]:
    most = policy.max_usd_per_hour or 0.0
    return [
        Violation(name, f"{name} may cost ${fleet.max_usd_per_hour:.3f}/h, over ${most:.3f}/h", fleet.max_usd_per_hour)
        for name, fleet in one.config.fleets.items()
        if fleet.max_usd_per_hour > most
    ]


def _dearest_fleet(policy: PolicyConfig, one: Revision) -> list[Violation]:
    most = policy.max_fleet_usd_per_hour or 0.0
    costs = {name: fleet.most * fleet.max_usd_per_hour for name, fleet in one.config.fleets.items()}
    return [
        Violation(name, f"{name} may cost ${cost:.3f}/h together, over ${most:.3f}/h", cost)
        for name, cost in costs.items()
        if cost > most + 1e-9
    ]


def _replicas(policy: PolicyConfig, one: Revision) -> list[Violation]:
    most = policy.max_replicas or 0
    return [
        Violation(name, f"{name} may have {fleet.most} instances, over {most}", fleet.most)
        for name, fleet in one.config.fleets.items()
        if fleet.most > most
    ]


def _manifests(_: PolicyConfig, one: Revision) -> list[Violation]:
    found = []
    for model in sorted({fleet.model for fleet in one.config.fleets.values()}):
        manifest = one.manifests.get(model)
        if manifest is None:
            found.append(Violation(f"{model} missing", f"{model} has no committed manifest that can be read"))
            continue
        if manifest.about is None:
            found.append(Violation(f"{model} about", f"{model}'s manifest does not say what the model is"))
        code = [file for file in manifest.files if runs_code(file.path)]
        found += [
            Violation(f"{model} {one.path} {one.sha256}", f"{model} has {one.path}, which runs code") for one in code
        ]
    return found


RULES = (
    Rule("verified hosts", lambda policy: policy.verified_hosts, _verified),
    Rule("images pinned", lambda policy: policy.pinned_images, _pinned),
    Rule("regions", lambda policy: policy.regions, _regions),
    Rule("GPUs", lambda policy: policy.gpus, _gpus),
    Rule("price of an instance", lambda policy: policy.max_usd_per_hour is not None, _dearest),
    Rule("price of a fleet", lambda policy: policy.max_fleet_usd_per_hour is not None, _dearest_fleet),
    Rule("replicas", lambda policy: policy.max_replicas is not None, _replicas),
    Rule("manifests", lambda policy: policy.manifests, _manifests),
)


def _budget(
    policy: PolicyConfig, base: Revision | None, head: Revision, periods: Sequence[PeriodReview]
) -> list[PolicyResult]:
    """Compare each period at the ceilings with its budget; the base branch's counts if the edit raises or removes it.

    Only an edit that raises the worst case is refused, so that a budget can be raised by an edit of its own. An unknown
    figure gives a warning. The outcome is a standing one, because an edit that changes it also changes an instance or names a
    risk.
    """
    judged = [(one, budget) for one in periods if (budget := _budget_of(one, base))]
    if policy.budget == "ignore" or not judged:
        return []
    over = [
        f"{one.name} may cost ${one.ceiling:,.2f} of ${budget:,.2f}"
        + ("" if budget == one.budget else ", the base branch's budget")
        for one, budget in judged
        if one.ceiling is not None and one.ceiling > budget + CENT
    ]
    if over:
        refuses = policy.budget == "refuse" and (base is None or _worst(head) > _worst(base) + CENT)
        outcome = Outcome.REFUSES if refuses else Outcome.WARNS
        return [PolicyResult(rule=WITHIN, outcome=outcome, says="; ".join(over), standing=True)]
    if unknown := [one.name for one, _ in judged if one.ceiling is None]:
        says = f"what {' and '.join(unknown)} may cost is not known"
        return [PolicyResult(rule=WITHIN, outcome=Outcome.WARNS, says=says, standing=True)]
    return [PolicyResult(rule=WITHIN, outcome=Outcome.OK, says="")]


def _budget_of(period: PeriodReview, base: Revision | None) -> float:
    """Return the lower one of the budgets that base and head set for a period; 0 for none."""
    known = {"a day": base.config.budget.usd_per_day, "this month": base.config.budget.usd_per_month} if base else {}
    return min((usd for usd in (period.budget, known.get(period.name)) if usd), default=0.0)


def _worst(one: Revision) -> float:
    """Return what all fleets may cost, in $/h, if each instance costs its ceiling."""
    return sum(fleet.most * fleet.max_usd_per_hour for fleet in one.config.fleets.values())


def _own_edit(policy: PolicyConfig, head: Revision) -> list[PolicyResult]:
    """Warn of an edit of the rules themselves: it does not judge this edit, but all later ones."""
    new = head.config.policy
    if new == policy:
        return []
    keys = [
        declared.alias or name
        for name, declared in PolicyConfig.model_fields.items()
        if new is not None and getattr(new, name) != getattr(policy, name)
    ]
    says = (
        f"the edit changes {', '.join(keys)} for later edits" if keys else "the edit removes the policy for later edits"
    )
    return [PolicyResult(rule="policy itself", outcome=Outcome.WARNS, says=says)]
