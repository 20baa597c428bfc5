"""`Rentals`, token `pulumi-python:dynamic/rentals:Rentals`: what a stack rents; its end gives everything back.

Every instance depends on it, so the engine deletes it after all of them: what a killed update left behind, and state never
knew, goes with the stack. It is never replaced by a change of inputs, because its end takes every instance along. Module
path and class names are persisted in every stack's state: a rename is a migration.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers.engine_watch import EngineGone, EngineWatch, WatchedClock
from providers.progress import tell
from providers.provider_process import take_over
from providers.rentals.ending import end_rentals
from providers.vast.errors import VastError
from providers.vast.limits import Limits
from providers.vast.reach import reach
from providers.vast.redaction import Redaction
from providers.vast.settings import LimitSettings, MarketSettings


class _Inputs(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)

    market: MarketSettings
    stack_id: str = Field(alias="stackId", min_length=1)


class RentalsProvider(ResourceProvider):
    """Translates between the engine's calls and `end_rentals`; nothing else."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Take the account's key from the provider's args."""
        self._vast_key = req.config.get("vastApiKey") or ""
        watch = EngineWatch.of_this_process()
        self._clock = WatchedClock(watch)
        self._calls = 0
        take_over(watch, lambda: self._calls > 0)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate what is known."""
        try:
            MarketSettings.model_validate(news.get("market"))
        except ValidationError as error:
            return CheckResult(news, [CheckFailure("market", str(error.errors(include_input=False)[0]["msg"]))])
        return CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Any other input is only written down."""
        changes = any(olds.get(key) != news.get(key) for key in ("market", "stackId"))
        return DiffResult(changes=changes, replaces=[], stables=[], delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Note the stack's id; nothing is rented by this."""
        return CreateResult(str(props["stackId"]), props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return what is in state: there is no other truth about it."""
        return ReadResult(id_, props, props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Write the inputs down."""
        return UpdateResult(news)

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Give back whatever still carries the stack's id, and have it confirmed."""
        redaction = Redaction.of(self._vast_key)

        def say(phase: str, text: str) -> None:
            tell(redaction.clean(f"rentals  {phase}  {text}"))

        inputs = _Inputs.model_validate(props)
        limits = Limits().at(inputs.market.time_scale)
        self._calls += 1
        try:
            with reach(inputs.market, self._vast_key, self._clock, LimitSettings().rents_per_hour) as market:
                end_rentals(market, self._clock, limits, id_, say)
        except (VastError, EngineGone) as error:
            raise pulumi.RunError(redaction.clean(str(error))) from None
        finally:
            self._calls -= 1


class Rentals(Resource, module="rentals", name="Rentals"):
    """What a stack rents. Inputs: `market` (url, hostUrl, timeScale) and `stackId`."""

    stackId: pulumi.Output[str]  # noqa: N815 -- a property of the resource, spelt as in state

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(RentalsProvider(), name, dict(inputs), opts)
