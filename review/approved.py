"""Read a shown and approved review, the JSON of `gpu-fleet review`, for an apply."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from review.report import Action, Binding, PeriodReview, PolicyResult, Verdict

MOST_BYTES = 4_000_000  # of an approved review: 200 instances have 100 KB


class UnreadableReview(ValueError):
    """The file is no approved review; the message is a sentence."""


class FromFile(BaseModel):
    """A part of the approved review's JSON. Keys that a later version adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ApprovedPrice(FromFile):
    """US dollars an hour."""

    then: float | None = Field(None, ge=0, allow_inf_nan=False)
    ceiling: float | None = Field(None, ge=0, allow_inf_nan=False)


class ApprovedInstance(FromFile):
    """The shown review of one instance."""

    name: str = Field(pattern=r"^[\w.-]{1,200}$")
    action: Action
    usd_per_hour: ApprovedPrice = Field(alias="usdPerHour")


class Approved(FromFile):
    """A shown and approved review: the JSON of `gpu-fleet review`."""

    stack: str
    verdict: Verdict
    instances: tuple[ApprovedInstance, ...] = ()
    budget: tuple[PeriodReview, ...] = ()
    policy: tuple[PolicyResult, ...] = ()
    refusals: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    binding: Binding


def read_approved(data: bytes) -> Approved:
    """Read the JSON of an approved review. Raises UnreadableReview."""
    if len(data) > MOST_BYTES:
        raise UnreadableReview(f"it has {len(data)} bytes; an approved review has {MOST_BYTES} at most")
    try:
        approved = Approved.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole of it"
        raise UnreadableReview(f"{where}: {first['msg']}") from None
    names = [one.name for one in approved.instances]
    if len(set(names)) != len(names):
        raise UnreadableReview("it names an instance twice")
    return approved
