# Long because the provider's calls are one class, whose path is persisted in state.
"""`VastInstance`, token `pulumi-python:dynamic/vast:Instance`: one rented instance that serves, as one resource.

Module path and class names are persisted in every stack's state: a rename is a migration. The provider class has no
attributes of its own. So it is pickled by reference, and state carries no code.

The calls that need SSH, certificates and the ledger import them. They are a third of a process's imports, and a preview
does not use them.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

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
from pulumi.output import Unknown

from providers.engine_watch import EngineWatch, WatchedClock
from providers.progress import print_progress
from providers.provider_process import on_cancel, take_over
from providers.store.client import Keys
from providers.vast import operator_text
from providers.vast.api import account
from providers.vast.api.errors import CredentialsRefused, SettingsInvalid, VastError, looking, not_looked
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.certificate_due import with_due
from providers.vast.fleet_previews import FleetPreviews
from providers.vast.in_flight import InFlight
from providers.vast.preview_inputs import STAND_IN, known, made_anew
from providers.vast.preview_plan import report_plan
from providers.vast.redaction import Redaction
from providers.vast.renting.adopt import would_adopt
from providers.vast.renting.serving_marks import ServingMark
from providers.vast.rollout import RolloutStoppedError
from providers.vast.search import search
from providers.vast.search.prices import usd_per_hour
from providers.vast.search.requirements import Requirements
from providers.vast.search.why_not import NoMatchingOffer
from providers.vast.settings import OUTPUT_KEYS, InstanceSettings, inputs_of
from providers.vast.waves import Waves
from providers.vast.written import WRITTEN, read_settings

if TYPE_CHECKING:
    from providers.vast.api.guarded_market import GuardedMarket
    from providers.vast.lifecycle import OperationContext

Value = TypeVar("Value")


class VastInstanceProvider(ResourceProvider):
    """Translates between the engine's calls and `lifecycle`; does nothing else."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Take the account's keys from the provider's args. The engine calls this once a process."""
        self._vast_key = req.config.get("vastApiKey") or ""
        self._store_keys = Keys(req.config.get("storeAccessKey") or "", req.config.get("storeSecretKey") or "")
        watch = EngineWatch.of_this_process()
        self._watch, self._clock = watch, WatchedClock(watch)
        self._waves = Waves.of_this_process(self._clock)
        self._searched: dict[Requirements, list[Offer] | VastError] = {}
        self._planned: set[str] = set()  # fleets whose plan was reported
        self._previews = FleetPreviews()
        self._rented: list[Instance] | VastError | None = None
        self._silent = self._budget_reported = False
        self._lock = threading.RLock()
        self._in_flight = InFlight(self._clock)
        take_over(watch, self._in_flight.busy)
        on_cancel(lambda: self._in_flight.report_what_is_finished(left_out=self._waves.interrupt()))

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Validate the inputs; if there is no instance yet, search too, so that the preview says if no offer fits.

        First looks for an instance that carries the label already: an update adopts it, so it needs no offer.
        """
        failures: list[CheckFailure] = []  # with an empty property, because the engine would print a property's value
        try:
            settings = InstanceSettings.from_props(known(news, Unknown))
            self._waves.announce(settings, there=bool(_olds))
            replaced = self._previews.is_replaced(settings, there=bool(_olds))
            if replaced or not (_olds or self._would_adopt(settings)):
                self._previews.record_rental(settings, self._search_once(settings), replaced)
        except SettingsInvalid as error:
            failures.append(CheckFailure("", str(error)))
        except NoMatchingOffer as error:
            failures.append(CheckFailure("", error.of_fleet(settings.fleet)))
        except CredentialsRefused as error:
            failures.append(CheckFailure("", str(error)))
        except VastError as error:
            failures.append(CheckFailure("", str(not_looked(error))))
        except (RolloutStoppedError, OSError) as error:
            failures.append(CheckFailure("", operator_text.describe_for_operator(error, str(news.get("name")))))
        return CheckResult(news, failures)

    def _would_adopt(self, settings: InstanceSettings) -> bool:
        """Return whether an instance with the label would be adopted, so that it needs no offer.

        Asks for the list once a process.
        """
        if settings.label == STAND_IN:
            return False
        with self._lock:
            if self._rented is None:
                from providers.vast.api.client import FRESH_SECONDS  # noqa: PLC0415

                try:
                    with self._market(settings) as market:
                        self._rented = market.instances(age_seconds=FRESH_SECONDS / settings.market.time_scale)
                except VastError as error:
                    self._rented = error
            if isinstance(rented := self._rented, VastError):
                raise rented
        requirements, image = settings.to_requirements(), settings.server.image
        found = would_adopt(rented, settings.label, image, requirements, lambda: self._mark(settings))
        if found:
            price = "an unknown price" if found.dph_total is None else f"${found.dph_total:.3f}/h"
            print_progress(
                f"{settings.name}  adopt  instance {found.id} carries its label, at {price}; it goes on, nothing is rented"
            )
            self._previews.record_adopted(settings, found)
        return found is not None

    def _mark(self, settings: InstanceSettings) -> ServingMark | None:
        from providers.vast.operation import held  # noqa: PLC0415

        return held(settings, self._clock, self._store_keys)

    def _search_once(self, settings: InstanceSettings) -> list[float]:
        """Ask the market once a process for each distinct query, and return the prices.

        A fleet's instances all have the same requirements.
        """
        requirements = settings.to_requirements()
        with self._lock:
            if requirements not in self._searched:
                try:
                    with self._market(settings) as market:
                        self._searched[requirements] = search.check(market, requirements)
                except VastError as error:
                    self._searched[requirements] = error
            found = self._searched[requirements]
            if isinstance(found, VastError):
                raise found
            if settings.fleet not in self._planned:
                self._planned.add(settings.fleet)
                report_plan(settings, found)
        return [usd_per_hour(offer, requirements) for offer in found]

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Return which inputs replace, which update in place, and which are only recorded."""
        from providers.vast import charged_price, down_check, lifecycle  # noqa: PLC0415

        try:
            new = InstanceSettings.from_props(known(news, Unknown, olds))
            old, left_aside = read_settings(olds)
            olds = with_due(olds, self._clock.time())
            if old.self_destruct is not None:
                olds = self._operate(
                    "diff", olds, lambda _, context: down_check.with_own_end(int(id_), old, olds, context), past=olds
                )
            found = lifecycle.compare(old, new, olds)
            if down_check.is_doubtful(found):
                found = self._operate(
                    "diff", olds, lambda _, context: down_check.judge(int(id_), old, new, olds, context), past=olds
                )
            found.in_place.extend(made_anew(news, Unknown))
            if not found.any and self._learns_account(int(id_), olds):
                found.recorded.append("account")
        except SettingsInvalid:
            # An older version wrote this state: converge in place and rewrite the state.
            return DiffResult(changes=True, replaces=[], stables=[], delete_before_replace=True)
        self._report_budget(old, new)
        charged_price.report_rise(new, olds, lambda phase, text: print_progress(f"{new.name}  {phase}  {text}"))
        if found.any:
            print_progress("; ".join(filter(None, [f"{news.get('name')}  change  {found.describe()}", left_aside])))
        self._previews.record_change(found, old, new, olds)
        return DiffResult(changes=found.any, replaces=found.replace, stables=[], delete_before_replace=True)

    def _report_budget(self, old: InstanceSettings, new: InstanceSettings) -> None:
        """Report, once a process, that a budget which only observed now refuses rents."""
        with self._lock:
            if old.budget is None and new.budget is not None and not self._budget_reported:
                self._budget_reported = True
                print_progress(
                    "budget  from now on a rent that could pass the stack's budget is refused; running instances go on. "
                    "Before, it only observed; budget.enforce: false keeps that"
                )

    def _learns_account(self, id_: int, olds: dict[str, Any]) -> bool:
        """Return whether a state without an account would learn it now. A silent market is asked only once."""
        from providers.vast import lifecycle  # noqa: PLC0415

        if account.number(olds.get("account")) is not None or self._silent:
            return False
        settings, learned = read_settings(olds)[0], None
        with suppress(OSError), self._market(settings) as market:
            learned = lifecycle.learned(id_, settings, olds, market)
        self._silent = learned is None
        return learned is not None

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Adopt or rent, bootstrap, probe. If it raises, nothing stays rented, or its message names the instance."""
        from providers.vast import lifecycle  # noqa: PLC0415

        def operation(settings: InstanceSettings, context: "OperationContext") -> dict[str, Any]:
            with self._waves.creating(settings, context.report_progress):
                return lifecycle.create(settings, context)

        outs = self._operate("create", props, operation)
        return CreateResult(str(outs["instanceId"]), {**inputs_of(props), **outs, **WRITTEN})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the real outputs; the id is empty only if the market proves that the instance is gone."""
        from providers.vast import lifecycle  # noqa: PLC0415

        def operation(settings: InstanceSettings, context: "OperationContext") -> dict[str, Any] | None:
            with looking():
                return lifecycle.read(int(id_), settings, props, context)

        outs = self._operate("read", props, operation, past=props)
        if outs is None:
            return ReadResult("", {})
        return ReadResult(id_, {**props, **outs}, inputs_of(props))

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Converge in place. If that closes the endpoint, it waits for its place in the wave."""
        from providers.vast import lifecycle  # noqa: PLC0415
        from providers.vast.update_effects import effect, serves  # noqa: PLC0415

        before, left_aside = read_settings(olds, instead=news)
        if left_aside:
            print_progress(f"{news.get('name')}  change  {left_aside}")

        olds = with_due(olds, self._clock.time())

        def operation(settings: InstanceSettings, context: "OperationContext") -> dict[str, Any]:
            closes = effect(lifecycle.compare(before, settings, olds), before, settings, olds).closes
            with self._waves.changing(settings, context.report_progress, serves(olds)) if closes else nullcontext():
                return lifecycle.update(int(id_), before, settings, olds, context)

        outs = self._operate("update", news, operation, also=olds)
        return UpdateResult({**inputs_of(news), **outs, **WRITTEN})

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Drain, destroy, confirm the end. An instance that will be replaced takes its place in the wave."""
        from providers.vast import down_check, lifecycle  # noqa: PLC0415
        from providers.vast.update_effects import serves  # noqa: PLC0415

        def operation(settings: InstanceSettings, context: "OperationContext") -> None:
            there = down_check.own_end(int(id_), settings, props, context) is None
            with self._waves.replacing(settings, context.report_progress, there and serves(props)):
                lifecycle.delete(int(id_), settings, props, context)

        self._operate("delete", props, operation, past=props)

    def _operate(
        self,
        does: str,
        props: dict[str, Any],
        operation: Callable[[InstanceSettings, "OperationContext"], Value],
        also: Mapping[str, Any] | None = None,
        past: dict[str, Any] | None = None,
    ) -> Value:
        """Run one operation. Every error leaves here as one redacted paragraph without a traceback.

        `past`: the properties come from a state, which another version may have written.
        """
        from providers.vast.operation import open_operation  # noqa: PLC0415

        redaction = Redaction.of(self._vast_key, self._store_keys.secret, props, also or {})
        with self._in_flight.work(str(props.get("name", "instance")), does) as work:
            try:
                settings = read_settings(past)[0] if past else InstanceSettings.from_props(props)
                work.settings = settings
                with open_operation(settings, self._vast_key, self._clock, self._store_keys) as context:
                    return operation(settings, context)
            except operator_text.EXPECTED as error:
                message = redaction.clean(operator_text.describe_for_operator(error, work.name, work.settings))
                if self._watch.gone():
                    # No engine hears of the exception any more, but the terminal may still be read.
                    print_progress(message)
                raise pulumi.RunError(message) from None

    def _market(self, settings: InstanceSettings) -> AbstractContextManager["GuardedMarket"]:
        from providers.vast.api.session import market_session  # noqa: PLC0415

        return market_session(settings.market, self._vast_key, self._clock, settings.limits.rents_per_hour)


class VastInstance(Resource, module="vast", name="Instance"):
    """One instance of a fleet. Inputs: `providers.vast.settings.InstanceSettings`, by alias."""

    instanceId: pulumi.Output[int]  # noqa: N815 -- a property of the resource, spelt as in state
    endpoint: pulumi.Output[str]
    ssh: pulumi.Output[str]
    hostKey: pulumi.Output[str]  # noqa: N815
    usdPerHour: pulumi.Output[float]  # noqa: N815
    chargedUsdPerHour: pulumi.Output[float | None]  # noqa: N815
    certificateEnd: pulumi.Output[float]  # noqa: N815
    phases: pulumi.Output[dict[str, float]]
    drift: pulumi.Output[list[str]]
    endsAt: pulumi.Output[float | None]  # noqa: N815
    account: pulumi.Output[int | None]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        # Set here and not only by diff, because `--replace` reads the options. A replacement made before the old
        # machine is gone would adopt that very machine by its label. Then the engine would destroy it.
        options = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=True))
        props = {**dict.fromkeys(OUTPUT_KEYS), **inputs}
        super().__init__(VastInstanceProvider(), name, props, options)
