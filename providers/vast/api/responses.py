"""Response models, used fields only. Anything that fails validation is an error."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from providers.vast.api.instance import Instance

SOURCE = "instance-"


class Offers(BaseModel):
    """Response to a search. `rows.read` validates each row."""

    offers: list[Any]


class Rented(BaseModel):
    """Response to the rent call."""

    success: bool
    new_contract: int


class ShowResponse(BaseModel):
    """Response to a look at one instance. The field is required: an empty object must not mean "no such instance"."""

    instances: Instance | list[Instance] | None


class ListResponse(BaseModel):
    """One page of the instances list. `rows.read` validates each row.

    `instances_found` counts the rows of this page, `total_instances` all rows that match the filters. `label_counts`
    counts rows by label.
    """

    model_config = ConfigDict(extra="ignore")

    instances: list[Any]
    instances_found: int | None = None
    total_instances: int | None = None
    label_counts: dict[str, int] | None = None
    next_token: str | None = None

    @property
    def is_short(self) -> bool:
        """True if the page holds fewer rows than it counts."""
        return self.instances_found is not None and len(self.instances) < self.instances_found

    def expected(self, label: str | None) -> int:
        """Return the number of rows on all pages, or of one label if given; 0 if the market does not count.

        The market may count the total without the label filter. Every list of a label would then look short. The
        label's own count corrects that.
        """
        total = self.total_instances or 0
        if label is None or self.label_counts is None:
            return total
        return min(total, self.label_counts.get(label, 0))


class Log(BaseModel):
    """Response to a request for a log."""

    result_url: str


class DestroyResponse(BaseModel):
    """Response to a call whose effect the caller checks with another call."""

    success: bool | None = None


class PriceIncrease(BaseModel):
    """A higher price that a landlord announced for a contract. Prices in $ a second, end in unix seconds."""

    contract_id: int
    new_gpu_costpersec: float | None = None
    old_gpu_costpersec: float | None = None
    contract_end_date: float | None = None


class PriceIncreases(BaseModel):
    """Response to the list of announced price increases."""

    pending_price_increases: list[dict[str, Any]] = Field(default_factory=list)


class Account(BaseModel):
    """The key's account: a person's, or a team's, which has an id of its own. `credit` in $."""

    id: int | None = None
    username: str | None = None
    credit: float | None = None

    @property
    def description(self) -> str:
        """Return the account's number and user name in words."""
        number = "of an unknown number" if self.id is None else str(self.id)
        return f"{number} ({self.username})" if self.username else number


class Item(BaseModel):
    """One part of a charge. `type`: gpu, disk, bwd or bwu (bytes down and up); `amount` in $."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    amount: float


class Metadata(BaseModel):
    """The metadata of a charge: the label of its instance."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    label: str | None = None


class Charge(BaseModel):
    """A charge for one contract between two unix times. `source` names the contract: `instance-<id>`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    start: float
    end: float
    amount: float
    metadata: Metadata = Metadata()
    items: tuple[Item, ...] = Field(default=())

    @field_validator("metadata", "items", mode="before")
    @classmethod
    def _null_is_nothing(cls, value: Any, info: ValidationInfo) -> Any:
        return cls.model_fields[info.field_name or ""].default if value is None else value

    @property
    def instance_id(self) -> int | None:
        """The contract's number, or None if the charge is not for an instance."""
        number = self.source.removeprefix(SOURCE)
        return int(number) if self.source.startswith(SOURCE) and number.isdigit() else None


class Charges(BaseModel):
    """One page of charges. `rows.read` validates each row."""

    results: list[Any]
    next_token: str | None = None
