"""The models of a finished review: each instance's action and cost, and the refusals. Pure data, without any secret.

Unknown figures are None, never 0. Texts of the reviewed revision are raw here; the code that prints them quotes them.
"""

import hashlib
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Row(BaseModel):
    """A frozen part of a review."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Exit(IntEnum):
    """Exit statuses of `review` and `apply`."""

    FINE = 0
    REFUSED = 1
    WARNS = 2
    NOT_AS_REVIEWED = 3
    MARKET_SILENT = 4
    USAGE = 64


CONFIG_ALONE = "judged by config alone"  # in sentences about a review that does not know what runs


class Verdict(StrEnum):
    """The verdict on a whole review."""

    FINE = "fine"
    REFUSED = "refused"
    WARNS = "warns"
    NOT_AS_REVIEWED = "not as reviewed"
    MARKET_SILENT = "market silent"


EXITS: Mapping[Verdict, Exit] = {verdict: Exit[verdict.name] for verdict in Verdict}


class Action(StrEnum):
    """The action of the next `up` on one instance."""

    RENTED = "rented"
    IN_PLACE = "in place"
    ANOTHER_MACHINE = "another machine"
    RECORDED = "recorded"
    GIVEN_BACK = "given back"
    UNCHANGED = "unchanged"


class Cause(Row):
    """One key of stack config whose edit causes an action. `old` and `new` are texts; None if the key is absent.

    A secret's texts are `[secret]`. `key` is spelled as in config, below the fleet: `gpu.name`, `model`.
    """

    key: str
    old: str | None = None
    new: str | None = None


class Price(Row):
    """US dollars an hour, all-in. `now` is charged today, `then` is expected, `ceiling` is the most that `then` may be."""

    now: float | None = None
    then: float | None = None
    ceiling: float | None = None


class InstanceReview(Row):
    """One instance. `down_seconds`: how long its endpoint is closed, about; None if unknown, 0.0 if it stays open."""

    name: str
    fleet: str
    action: Action
    because: tuple[Cause, ...] = ()
    usd_per_hour: Price = Price()
    down_seconds: float | None = 0.0
    down_why: str = ""
    place: str = ""  # of the running machine; empty if unknown


class OfferRow(Row):
    """One live offer that fits a fleet.

    `first_start_seconds` is an estimate of rent to served, None if unknown. `starts_later`: it lacks vLLM's own start, whose
    time was not measured yet.
    """

    offer_id: int
    gpu: str
    where: str
    usd_per_hour: float
    reliability: float | None = None
    download_mbps: float | None = None
    first_start_seconds: float | None = None
    starts_later: bool = False


class FleetReview(Row):
    """A fleet's market. `fitting` counts the offers; None if the market was not asked or is silent (`trouble` says why).

    `cheapest` and `dearest` are the all-in prices of those offers, in US dollars an hour; None without an offer. `refusal`
    says why no offer fits, and which edit would help.
    """

    name: str
    elastic: bool = False
    fitting: int | None = None
    cheapest: float | None = None
    dearest: float | None = None
    offers: tuple[OfferRow, ...] = ()
    trouble: str = ""
    refusal: str = ""


class ModelReview(Row):
    """A model that a fleet serves. GiB of memory needed and present, GB that a start reads from the bucket, file changes.

    `start_gb` is None if the size of the kit is unknown, too; `bucket_usd` then says at least.
    """

    name: str
    need_gib: float | None = None
    room_gib: float | None = None
    start_gb: float | None = None
    bucket_usd: str = ""  # a sentence: what a start reads from the bucket, and what that costs
    old_digest: str | None = None
    new_digest: str | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()  # files that run code when they are loaded


class PeriodReview(Row):
    """US dollars of one period: if nothing changes, as expected after the edit, and at the ceilings; and its budget."""

    name: str  # "a day", "this month", "a month of 730 h, always on"
    now: float | None = None
    expected: float | None = None
    ceiling: float | None = None
    budget: float | None = None
    spent: float | None = None
    hours_left: float | None = None


class Outcome(StrEnum):
    """The outcome of a rule of policy."""

    OK = "ok"
    WARNS = "warns"
    REFUSES = "refuses"


class PolicyResult(Row):
    """One rule of policy over base and head. `standing`: the outcome is no worse than the base branch's."""

    rule: str
    outcome: Outcome
    says: str
    standing: bool = False


class Binding(Row):
    """The revisions, digests and bounds that an approval holds for. Digests are sha256 in hex; `at` is in unix seconds."""

    base: str
    head: str
    config: str
    manifests: str
    program: str
    at: float
    price_drift: float = 0.15
    valid_hours: float = 24.0

    @property
    def digest(self) -> str:
        """The SHA-256 over all of it, by which a comment and `apply` name the review."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Review(Row):
    """A whole review of one stack.

    `refusals`: sentences that keep it from being merged. `flagged`: edits that are seen and never followed, such as another
    `market.url`. `standing_at`: when the state of the running fleet was published, in unix seconds; None if none was read.
    """

    stack: str
    verdict: Verdict
    instances: tuple[InstanceReview, ...] = ()
    fleets: tuple[FleetReview, ...] = ()
    models: tuple[ModelReview, ...] = ()
    periods: tuple[PeriodReview, ...] = ()
    policy: tuple[PolicyResult, ...] = ()
    risks: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    standing_at: float | None = None
    binding: Binding | None = None
    asked_at: float = Field(0.0, description="When the market was asked, in unix seconds; 0 if it was not.")

    @property
    def exit(self) -> Exit:
        """The exit status."""
        return EXITS[self.verdict]

    @property
    def changes_anything(self) -> bool:
        """Whether the edit changes an instance, a rule's outcome, a risk or a model's files."""
        return (
            any(one.action is not Action.UNCHANGED for one in self.instances)
            or any(one.outcome is not Outcome.OK and not one.standing for one in self.policy)
            or any(one.old_digest != one.new_digest for one in self.models)
            or bool(self.refusals or self.flagged or self.risks)
        )

    def to_json(self, comment: str) -> dict[str, Any]:
        """Return the documented JSON: `because` as keys, prices in US dollars an hour, and the comment.

        `gpu-fleet apply` reads it again (see `review.applying`): each field that it compares must stand here.
        """
        return {
            "verdict": self.verdict.value,
            "exit": int(self.exit),
            "stack": self.stack,
            "instances": [
                {
                    "name": one.name,
                    "action": one.action.value,
                    "because": [cause.key for cause in one.because],
                    "usdPerHour": one.usd_per_hour.model_dump(),
                }
                for one in self.instances
            ],
            "budget": [one.model_dump(mode="json") for one in self.periods],
            "policy": [one.model_dump(mode="json") for one in self.policy],
            "refusals": list(self.refusals),
            "flagged": list(self.flagged),
            "binding": self.binding.model_dump(mode="json") if self.binding else None,
            "comment": comment,
        }
