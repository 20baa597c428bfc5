"""The shapes of the market's answers, as far as they are read; what is not of one is no answer at all."""

from pydantic import BaseModel, ConfigDict, Field

from providers.vast.instances import Instance
from providers.vast.offers import Offer

SOURCE = "instance-"


class Offers(BaseModel):
    """Of a search."""

    offers: list[Offer]


class Rented(BaseModel):
    """Of the rent call."""

    success: bool
    new_contract: int


class One(BaseModel):
    """Of a look at one instance. Required on purpose: an empty object must not read as "there is no such instance"."""

    instances: Instance | list[Instance] | None


class Page(BaseModel):
    """One page of the list."""

    model_config = ConfigDict(extra="ignore")

    instances: list[Instance]
    instances_found: int | None = None
    next_token: str | None = None


class Log(BaseModel):
    """Of the request for a log."""

    result_url: str


class Accepted(BaseModel):
    """Of a call whose effect is looked for elsewhere."""

    success: bool | None = None


class Account(BaseModel):
    """Of the account. `credit` in $."""

    credit: float | None = None


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

    @property
    def instance_id(self) -> int | None:
        """The contract's number; None for a charge of something else."""
        number = self.source.removeprefix(SOURCE)
        return int(number) if self.source.startswith(SOURCE) and number.isdigit() else None


class Charges(BaseModel):
    """One page of charges."""

    results: list[Charge]
    next_token: str | None = None
