"""Makes a whole review of two revisions: verdicts, prices, money, policy, risks, and the verdict over all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from review.binding import binding_of
from review.budget_room import without_room
from review.flags import flagged
from review.model_changes import models
from review.money import RENTS, periods, priced, wanted
from review.policy import Revision, judge
from review.prospects import Look, Prospect, fleet_review, looked
from review.report import CONFIG_ALONE, Action, FleetReview, InstanceReview, Outcome, PolicyResult, Review, Verdict
from review.revision import RevisionRefused, StackRevision, read_revision
from review.risks import Edited, risks
from review.stack_file import NoStackFile
from review.standing import Standing
from review.tree import Tree
from review.verdicts import Judge

STALE_DAYS = 30
DAY = 86_400.0


@dataclass(frozen=True)
class Asked:
    """The question to a review. `at`: unix seconds.

    `kit_size` returns the bytes of the kit that this computer makes, with or without the programs that report metrics; None
    if it cannot make one.
    """

    stack: str
    base: Tree
    head: Tree
    at: float
    standing: Standing | None = None
    kit_size: Callable[[bool], int | None] = lambda _reports: None


def review(asked: Asked, base: StackRevision | None, look: Look, notes: Sequence[str] = ()) -> Review:
    """Review the head against the base branch. `base` and its `notes` come from `base_of`.

    Runs nothing of either revision, and takes nothing from the head but values.
    """
    try:
        head = read_revision(asked.head, asked.stack)
    except (NoStackFile, RevisionRefused) as refused:
        return Review(
            stack=asked.stack,
            verdict=Verdict.REFUSED,
            refusals=tuple(str(refused).splitlines()),
            warnings=tuple(notes),
            standing_at=asked.standing.at if asked.standing else None,
        )
    judged = Judge(base, head, asked.standing).instances()
    prospects = looked(look, head, _to_look_at(head, judged))
    instances = priced(judged, prospects, head.config)
    scale = (base or head).config.market.time_scale
    money = periods(instances, head.config, prospects, asked.standing, asked.at, scale)
    fleets = _fleets(head, instances, prospects.values(), asked.standing)
    old, new = _policy_view(base), _policy_view(head)
    assert new is not None
    policy = judge(old.config.policy if old else None, old, new, money)
    rooms = {name: one.room_mib for name, one in prospects.items() if one.room_mib is not None}
    changes = any(one.action is not Action.UNCHANGED for one in instances)
    warnings = [*notes, *_warnings(asked, base, head, changes)]
    flags = flagged(base, head)
    refusals = [one.refusal for one in fleets if one.refusal]
    refusals += [f"{one.rule}: {one.says}" for one in policy if one.outcome is Outcome.REFUSES]
    refusals += without_room(instances, head.config, prospects, asked.standing, asked.at, scale)
    return Review(
        stack=asked.stack,
        verdict=_verdict(refusals, fleets, instances, policy, [*warnings, *flags]),
        instances=instances,
        fleets=fleets,
        models=models(old, new, _kit_bytes(asked, base, head), rooms),
        periods=money,
        policy=policy,
        risks=risks(
            Edited(
                old,
                new,
                instances,
                wanted(instances, head.config, prospects),
                asked.standing.known_machines if asked.standing else None,
            )
        ),
        refusals=tuple(refusals),
        warnings=tuple(warnings),
        flagged=flags,
        standing_at=asked.standing.at if asked.standing else None,
        binding=binding_of(asked.base, head, asked.at),
        asked_at=asked.at if any(one.fitting is not None for one in fleets) else 0.0,
    )


def base_of(tree: Tree, stack: str) -> tuple[StackRevision | None, tuple[str, ...]]:
    """Read the base branch. A stack that it lacks is new; a config that it cannot read is a warning."""
    try:
        return read_revision(tree, stack), ()
    except NoStackFile as error:
        return None, (f"{error}: the stack is judged as a new one",)
    except RevisionRefused as error:
        first = str(error).splitlines()[0]
        return None, (f"the base branch's own config is refused, so that the stack is judged as a new one: {first}",)


def _policy_view(revision: StackRevision | None) -> Revision | None:
    if revision is None:
        return None
    return Revision(revision.config, {name: model.manifest for name, model in revision.models.items()})


def _kit_bytes(asked: Asked, base: StackRevision | None, head: StackRevision) -> int | None:
    """Return the size of the running kit; of this computer's if that is unknown or the edit turns metrics on or off."""
    reports = head.config.metrics is not None
    runs_alike = base is not None and (base.config.metrics is not None) == reports
    known = asked.standing.kit_bytes if asked.standing and runs_alike else None
    return asked.kit_size(reports) if known is None else known


def _to_look_at(head: StackRevision, instances: Sequence[InstanceReview]) -> list[str]:
    """Return the fleets whose offers decide something: those that rent, and elastic ones that the controller fills."""
    renting = {one.fleet for one in instances if one.action in RENTS}
    changed = {one.fleet for one in instances if one.action is not Action.UNCHANGED}
    slots = {name for name, fleet in head.config.fleets.items() if fleet.elastic and fleet.elastic.min}
    return [name for name, fleet in head.config.fleets.items() if fleet.most and name in renting | changed | slots]


def _fleets(
    head: StackRevision,
    instances: Sequence[InstanceReview],
    prospects: Iterable[Prospect],
    standing: Standing | None,
) -> tuple[FleetReview, ...]:
    renting = {one.fleet for one in instances if one.action in RENTS}
    starts: dict[str, float] = {}
    for one in standing.instances if standing else ():
        if "start" in one.phases:
            starts[one.fleet] = one.phases["start"] + one.phases.get("probe", 0.0)
    return tuple(
        fleet_review(
            one,
            head.config.fleets[one.fleet].elastic is not None,
            one.fleet in renting,
            starts.get(one.fleet),
        )
        for one in prospects
    )


def _warnings(asked: Asked, base: StackRevision | None, head: StackRevision, changes: bool) -> list[str]:
    found = []
    standing = asked.standing
    if standing is None and base is not None and changes:
        found.append(
            f"what runs is not known, so that instances are {CONFIG_ALONE}: each machine counts as the least suitable one "
            "that the base branch allows. gpu-fleet standing publishes what runs"
        )
    if standing is not None:
        if standing.stack.rpartition("/")[2] != asked.stack.rpartition("/")[2]:
            found.append(f"the file of what runs is of the stack {standing.stack}")
        if asked.at - standing.at > STALE_DAYS * DAY:
            found.append(f"what runs was published {(asked.at - standing.at) / DAY:.0f} days ago")
        if standing.unreadable:
            found.append(f"{standing.unreadable} instances of the file of what runs cannot be read")
    engine = base.file.engine if base else {}
    if "environment" in head.file.engine and engine.get("environment") == head.file.engine["environment"]:
        found.append("the stack takes values from an environment of Pulumi's, which a review does not read")
    return found


def _verdict(
    refusals: Sequence[str],
    fleets: Iterable[FleetReview],
    instances: Iterable[InstanceReview],
    policy: Iterable[PolicyResult],
    warnings: Sequence[str],
) -> Verdict:
    """Refused comes first: it stays so whatever the market says. A market that did not answer is not fine."""
    if refusals:
        return Verdict.REFUSED
    renting = {one.fleet for one in instances if one.action in RENTS}
    if any(one.trouble and one.name in renting for one in fleets):
        return Verdict.MARKET_SILENT
    if warnings or any(one.outcome is Outcome.WARNS for one in policy):
        return Verdict.WARNS
    return Verdict.FINE
