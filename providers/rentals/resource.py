"""`Rentals`, token `pulumi-python:dynamic/rentals:Rentals`: what a stack rents; its end gives everything back.

Every instance depends on it, so the engine deletes it after all of them: what a killed update left behind, and state never
knew, goes with the stack. It comes before all of them, too, so it is where a key of another account is noticed before
anything is rented with it. It is never replaced by a change of inputs. Module path and class names are persisted in every
stack's state: a rename is a migration.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

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

from config.base import path_of
from config.limits import LimitsConfig
from config.market import WrittenMarket
from providers.engine_watch import EngineGone, EngineWatch, WatchedClock
from providers.old_state import read_state
from providers.progress import report_progress
from providers.provider_process import take_over
from providers.pulumi_state import BackendError, StackState, family, run_pulumi
from providers.redaction import Redaction
from providers.rentals.teardown import Teardown, end_rentals, is_rented, tell_late_boots
from providers.vast.api import account
from providers.vast.api.errors import AccountUnknown, VastError
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter

INPUTS = ("market", "stackId", "stack")
NO_CHECKPOINTS = "PULUMI_SKIP_CHECKPOINTS"
Value = TypeVar("Value")


class _Inputs(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)

    market: WrittenMarket
    stack_id: str = Field(alias="stackId", min_length=1)


class RentalsProvider(ResourceProvider):
    """Translates between the engine's calls, `end_rentals` and the rules of `account`; nothing else."""

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
            WrittenMarket.model_validate(news.get("market"))
        except ValidationError as error:
            return CheckResult(news, [CheckFailure("", _market_problem(error))])
        return CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Any other input is only written down. A key of another account than state's ends the preview."""
        # What a preview does not know yet is no difference: the id, while counters of the identity change.
        changes = any(
            olds.get(key) != news.get(key) for key in INPUTS if not isinstance(news.get(key), pulumi.output.Unknown)
        )
        if _url(olds) == _url(news):
            changes = changes or self._account(olds) != account.number(olds.get("account"))
        return DiffResult(changes=changes, replaces=[], stables=[], delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Note the stack's id, and the account as far as the market tells; nothing is rented by this."""
        return CreateResult(str(props["stackId"]), {**props, "account": self._first_account(props)})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return what is in state, and the account if a look teaches it; say what boots for too long. A key of another
        account raises.
        """

        def look(market: GuardedMarket, inputs: _Inputs, say: Callable[[str, str], None]) -> None:
            limits = Limits().at(inputs.market.time_scale)
            tell_late_boots(market, self._clock.time(), limits, inputs.stack_id, say)

        self._operate(props, look)
        return ReadResult(
            id_, {**props, "account": self._account(props)}, {key: props[key] for key in INPUTS if key in props}
        )

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Write the inputs down, and the account."""
        known = self._account(olds) if _url(olds) == _url(news) else self._first_account(news)
        return UpdateResult({**news, "account": known})

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Give back what carries the stack's id and no state knows, and have it confirmed."""

        def end(market: GuardedMarket, inputs: _Inputs, say: Callable[[str, str], None]) -> None:
            limits = Limits().at(inputs.market.time_scale)
            ids = list(dict.fromkeys((inputs.stack_id, id_)))  # the resource keeps the first one that it had
            ending = Teardown(ids, account.number(props.get("account")))
            end_rentals(
                Renter(market, self._clock, limits), ending, lambda: _states(str(props.get("stack") or ""), ids), say
            )

        self._operate(props, end)

    def _account(self, state: dict[str, Any]) -> int | None:
        """Return the account that state should name. Raises where the key is of another one, and nothing of ours is there."""
        known = account.number(state.get("account"))

        def look(market: GuardedMarket, inputs: _Inputs, _say: Callable[[str, str], None]) -> int | None:
            found = account.learned(market, known, lambda: is_rented(market, inputs.stack_id))
            if found == known:
                with suppress(AccountUnknown):
                    account.confirm(market, known, f"What the state knows of stack id {inputs.stack_id} was rented")
            return found

        return self._operate(state, look)

    def _first_account(self, props: dict[str, Any]) -> int | None:
        """Return whose account the key is of, as far as the market tells, for a state that knows of no instance there yet."""
        return self._operate(props, lambda market, _inputs, _say: account.learned(market, None, lambda: True))

    def _operate(
        self, props: dict[str, Any], operation: Callable[[GuardedMarket, _Inputs, Callable[[str, str], None]], Value]
    ) -> Value:
        from providers.vast.api.session import market_session  # noqa: PLC0415 -- HTTP, which the program and most commands need not

        redaction = Redaction.of(self._vast_key)

        def say(phase: str, text: str) -> None:
            report_progress(redaction.clean(f"rentals  {phase}  {text}"))

        self._calls += 1
        try:
            inputs = read_state(_Inputs, {key: props[key] for key in INPUTS if key in props})[0]
            with market_session(inputs.market, self._vast_key, self._clock, LimitsConfig().rents_per_hour) as market:
                return operation(market, inputs, say)
        except (VastError, EngineGone) as error:
            raise pulumi.RunError(redaction.clean(str(error))) from None
        finally:
            self._calls -= 1


def _market_problem(error: ValidationError) -> str:
    row = error.errors(include_input=False)[0]
    return f"{path_of('market', *row['loc'])}: {row['msg']}"


def _states(stack: str, stack_ids: Sequence[str]) -> list[StackState]:
    """Read the states that may know what is rented under the ids. Raises BackendError."""
    if os.environ.get(NO_CHECKPOINTS, "").lower() in ("1", "true"):
        raise BackendError(f"{NO_CHECKPOINTS} is set, so the state lacks what this update has made")
    return family(run_pulumi, stack, stack_ids[0])


def _url(props: dict[str, Any]) -> object:
    """Return which market it is; another one has other accounts."""
    return (props.get("market") or {}).get("url")


class Rentals(Resource, module="rentals", name="Rentals"):
    """What a stack rents. Inputs: `market` (url, hostUrl, timeScale), `stackId`, and `stack`, its name at the backend.
    Output: `account`, the number of the market's account that it is rented on."""

    stackId: pulumi.Output[str]  # noqa: N815 -- a property of the resource, spelt as in state
    account: pulumi.Output[int | None]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(RentalsProvider(), name, {"account": None, **inputs}, opts)
