"""The shapes of the market's answers, as far as they are read; what is not of one is no answer at all."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from providers.vast.api.instance import Instance

SOURCE = "instance-"


class Offers(BaseModel):
    """Of a search. Its rows are read one by one, see `rows.read`."""

    offers: list[Any]


class Rented(BaseModel):
    """Of the rent call."""

    success: bool
    new_contract: int


class ShowResponse(BaseModel):
    """Of a look at one instance. Required on purpose: an empty object must not read as "there is no such instance"."""

    instances: Instance | list[Instance] | None


class ListResponse(BaseModel):
    """One page of the list. Its rows are read one by one, see `rows.read`.

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
        """Whether the page lacks rows that it counts."""
        return self.instances_found is not None and len(self.instances) < self.instances_found

    def expected(self, label: str | None) -> int:
        """Return how many rows all pages have together, of one label if it is given; 0 where the market does not say.

        A total that is counted without the filter would make every list of a label short; the label's own count puts
        that right.
        """
        total = self.total_instances or 0
        if label is None or self.label_counts is None:
            return total
        return min(total, self.label_counts.get(label, 0))


class Log(BaseModel):
    """Of the request for a log."""

    result_url: str


class DestroyResponse(BaseModel):
    """Of a call whose effect is looked for elsewhere."""

    success: bool | None = None


class PriceIncrease(BaseModel):
    """A higher price that a landlord has announced for a contract. Prices in $ a second, the end in unix seconds."""

    contract_id: int
    new_gpu_costpersec: float | None = None
    old_gpu_costpersec: float | None = None
    contract_end_date: float | None = None


class PriceIncreases(BaseModel):
    """Of the list of announced increases."""

    pending_price_increases: list[dict[str, Any]] = Field(default_factory=list)


class Account(BaseModel):
    """Of the account that a key is of: a person's, or a team's, which is one of its own. `credit` in $."""

    id: int | None = None
    username: str | None = None
    credit: float | None = None

    @property
    def told(self) -> str:
        """Say which one it is."""
        number = "of an unknown number" if self.id is None else str(self.id)
        return f"{number} ({self.username})" if self.username else number


class Item(BaseModel):
    """A part of a charge. `type`: gpu, disk, bwd or bwu (bytes down and up); `amount` in $."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    amount: float


class Metadata(BaseModel):
    """What a charge is for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    label: str | None = None


class Charge(BaseModel):
    """What one contract was charged between two moments (unix seconds). `source` names the contract: `instance-<id>`."""

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
        """The contract's number; None for a charge of something else."""
        number = self.source.removeprefix(SOURCE)
        return int(number) if self.source.startswith(SOURCE) and number.isdigit() else None


class Charges(BaseModel):
    """One page of charges. Its rows are read one by one, see `rows.read`."""

    results: list[Any]
    next_token: str | None = None
