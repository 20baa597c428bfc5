"""Define `Rentals`, token `pulumi-python:dynamic/rentals:Rentals`: all rentals of a stack; its end gives them back.

Every instance depends on it, so that the engine deletes it after all of them. Its delete gives back instances that a killed
update left and state never knew. The engine also creates it before all of them. So it notices a key of another account
before anything is rented. A change of inputs never replaces it. Module path and class names are persisted in every stack's
state: a rename is a migration.
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

from bootstrap.services import Progress
from config.base import path_of
from config.limits import LimitsConfig
from config.market import WrittenMarket
from providers.engine_watch import EngineGone, EngineWatch, WatchedClock
from providers.ledger.ledger import CleanLedger, Ledger, NoLedger
from providers.old_state import read_state
from providers.progress import print_progress
from providers.provider_process import take_over
from providers.rentals.store_place import StorePlace
from providers.rentals.teardown import Teardown, end_rentals, is_rented, report_late_boots
from providers.store.client import Keys
from providers.vast.api import account
from providers.vast.api.errors import AccountUnknown, VastError
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.limits import Limits
from providers.vast.pulumi_state import (
    BUCKET,
    BackendError,
    StackState,
    deployment_of,
    family,
    run_pulumi,
    selected_stack,
    state_named,
)
from providers.vast.redaction import Redaction
from providers.vast.renting.renter import Renter

INPUTS = ("market", "stackId", "stack", "store", "instance")
NO_CHECKPOINTS = "PULUMI_SKIP_CHECKPOINTS"
STORE_TRIES = 2
Value = TypeVar("Value")


class _Inputs(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)

    market: WrittenMarket
    stack_id: str = Field(alias="stackId", min_length=1)
    instance: str | None = None


class RentalsProvider(ResourceProvider):
    """Translate between the engine's calls, `end_rentals` and the rules of `account`."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Take the account's key from the provider's args."""
        self._vast_key = req.config.get("vastApiKey") or ""
        self._store_keys = Keys(req.config.get("storeAccessKey") or "", req.config.get("storeSecretKey") or "")
        watch = EngineWatch.of_this_process()
        self._clock = WatchedClock(watch)
        self._calls = 0
        take_over(watch, lambda: self._calls > 0)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate the known inputs."""
        try:
            WrittenMarket.model_validate(news.get("market"))
        except ValidationError as error:
            return CheckResult(news, [CheckFailure("", _market_problem(error))])
        return CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Only record changed inputs. A key of another account than state's ends the preview."""
        # Unknown values are no difference: in a preview the id is unknown while counters of the identity change.
        changes = any(
            olds.get(key) != news.get(key) for key in INPUTS if not isinstance(news.get(key), pulumi.output.Unknown)
        )
        if _url(olds) == _url(news):
            changes = changes or self._account(olds) != account.number(olds.get("account"))
        return DiffResult(changes=changes, replaces=[], stables=[], delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Record the stack's id, and the account if the market tells it; rents nothing."""
        return CreateResult(str(props["stackId"]), {**props, "account": self._first_account(props)})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the state, with the account if the market tells it, and report late boots.

        Raises for a key of another account.
        """

        def look(market: GuardedMarket, inputs: _Inputs, report_progress: Progress) -> None:
            limits, ours = Limits().at(inputs.market.time_scale), Teardown([inputs.stack_id], None, inputs.instance)
            report_late_boots(market, self._clock.time(), limits, ours, report_progress)

        self._operate(props, look)
        return ReadResult(
            id_, {**props, "account": self._account(props)}, {key: props[key] for key in INPUTS if key in props}
        )

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Record the inputs and the account."""
        known = self._account(olds) if _url(olds) == _url(news) else self._first_account(news)
        return UpdateResult({**news, "account": known})

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Give back instances with the stack's id that no state knows, and confirm that they are gone."""

        def end(market: GuardedMarket, inputs: _Inputs, report_progress: Progress) -> None:
            from providers.rentals.slot_drain import drain_slots  # noqa: PLC0415 -- SSH, which only an end needs

            limits = Limits().at(inputs.market.time_scale)
            ids = list(dict.fromkeys((inputs.stack_id, id_)))  # the resource's own id is the first stack id that it had
            ending = Teardown(ids, account.number(props.get("account")), inputs.instance)
            end_rentals(
                Renter(market, self._clock, limits),
                ending,
                lambda: _states(str(props.get("stack") or ""), ids, inputs.instance),
                report_progress,
                lambda: self._ledger(props),
                lambda slots: drain_slots(slots, run_pulumi, self._clock, report_progress),
            )
            self._end_bucket(props, ids, report_progress)

        self._operate(props, end)

    def _end_bucket(self, props: dict[str, Any], ids: Sequence[str], report_progress: Progress) -> None:
        """Give up the bucket if a killed create left it; a slot's stack has none."""
        from providers.rentals.left_bucket import give_up_left_bucket  # noqa: PLC0415 -- boto3
        from providers.store.client import connect  # noqa: PLC0415

        keys, place = self._store_keys, _store_place(props)
        if props.get("instance") or not keys.access or not keys.secret or place is None:
            return
        stack = str(props.get("stack") or "")
        with suppress(ValidationError):  # no bucket can carry an id of another form
            give_up_left_bucket(
                lambda: connect(place.endpoint, place.region, keys, STORE_TRIES),
                place,
                ids,
                lambda: _bucket_in_state(stack),
                report_progress,
            )

    def _ledger(self, props: dict[str, Any]) -> Ledger:
        """Return the stack's ledger; one that keeps nothing if state does not tell its place."""
        from providers.ledger.bucket_ledger import open_ledger  # noqa: PLC0415 -- boto3, which only this needs

        place = _store_place(props)
        if place is None:
            return NoLedger()
        ledger = open_ledger(place.endpoint, place.region, place.bucket, self._store_keys, self._clock)
        return CleanLedger(ledger, self._redaction().clean)

    def _redaction(self) -> Redaction:
        return Redaction.of(self._vast_key, self._store_keys.secret)

    def _account(self, state: dict[str, Any]) -> int | None:
        """Return the account that state should name. Raises if the key is another account's, without our instances."""
        known = account.number(state.get("account"))

        def look(market: GuardedMarket, inputs: _Inputs, _report_progress: Progress) -> int | None:
            found = account.learned(market, known, lambda: is_rented(market, inputs.stack_id))
            if found == known:
                with suppress(AccountUnknown):
                    account.confirm(market, known, f"What the state knows of stack id {inputs.stack_id} was rented")
            return found

        return self._operate(state, look)

    def _first_account(self, props: dict[str, Any]) -> int | None:
        """Return the key's account if the market tells it, for a state without instances there."""
        return self._operate(
            props, lambda market, _inputs, _report_progress: account.learned(market, None, lambda: True)
        )

    def _operate(self, props: dict[str, Any], operation: Callable[[GuardedMarket, _Inputs, Progress], Value]) -> Value:
        from providers.vast.api.session import market_session  # noqa: PLC0415 -- HTTP, which the program and most commands need not

        redaction = self._redaction()

        def report_progress(phase: str, text: str) -> None:
            print_progress(redaction.clean(f"rentals  {phase}  {text}"))

        self._calls += 1
        try:
            inputs = read_state(_Inputs, {key: props[key] for key in INPUTS if key in props})[0]
            with market_session(inputs.market, self._vast_key, self._clock, LimitsConfig().rents_per_hour) as market:
                return operation(market, inputs, report_progress)
        except (VastError, EngineGone) as error:
            raise pulumi.RunError(redaction.clean(str(error))) from None
        finally:
            self._calls -= 1


def _market_problem(error: ValidationError) -> str:
    row = error.errors(include_input=False)[0]
    return f"{path_of('market', *row['loc'])}: {row['msg']}"


def _store_place(props: dict[str, Any]) -> StorePlace | None:
    """Return the place of ledger and weights; None in a state of before, which has none."""
    try:
        return StorePlace.model_validate(props.get("store"))
    except ValidationError:
        return None


def _states(stack: str, stack_ids: Sequence[str], instance: str | None) -> list[StackState]:
    """Read the states that may hold instances under the ids; the own state alone if it holds one instance of a slot.

    Raises BackendError.
    """
    _check_checkpoints()
    return [state_named(run_pulumi, stack)] if instance else family(run_pulumi, stack, stack_ids[0])


def _bucket_in_state(stack: str) -> bool:
    """Return whether the stack's state has a bucket, now. Raises BackendError."""
    _check_checkpoints()
    rows = deployment_of(run_pulumi, stack or selected_stack(run_pulumi)).get("resources") or []
    return any(row.get("type") == BUCKET for row in rows)


def _check_checkpoints() -> None:
    if os.environ.get(NO_CHECKPOINTS, "").lower() in ("1", "true"):
        raise BackendError(f"{NO_CHECKPOINTS} is set, so the state lacks what this update has made")


def _url(props: dict[str, Any]) -> object:
    """Return the market's URL; another market has other accounts."""
    return (props.get("market") or {}).get("url")


class Rentals(Resource, module="rentals", name="Rentals"):
    """Manage the rentals of a stack.

    Inputs: `market` (url, hostUrl, timeScale), `stackId`, `stack`, its backend name, and `store` (endpoint, region, bucket,
    onDestroy), the place of ledger and weights. In the stack of a slot also `instance`, the one name that it rents under
    the id. Output: `account`, the number of the market's account that pays for the rentals.
    """

    stackId: pulumi.Output[str]  # noqa: N815 -- a property of the resource, spelt as in state
    account: pulumi.Output[int | None]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(RentalsProvider(), name, {"account": None, **inputs}, opts)
