"""The place of a stack's ledger and weights, as the rentals' input `store` has it."""

from pydantic import BaseModel, ConfigDict, Field

from config.store import OnDestroy


class StorePlace(BaseModel):
    """The place of the stack's bucket, and the effect of a destroy on it. It ignores keys of a later version."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    region: str
    bucket: str
    on_destroy: OnDestroy = Field("keep", alias="onDestroy")
