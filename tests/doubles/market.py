"""Run the emulated market in process, on a fake clock, behind the client's own reading of its answers.

    market = FakeMarket(FakeClock())                  # satisfies providers.vast.api.market.Market
    market.faults.arm("lost-create-reply")            # any fault of the emulator
    market.before["rent"] = [raising(error)]          # or an error of the client, at exactly this call

Every answer is the emulator's. Three things differ from HTTP: there is no wire, no request threshold holds, and the client
tries each call once.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import httpx

from providers.vast.api import errors
from providers.vast.api.client import VastClient
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.api.responses import Account, PriceIncrease
from providers.vast.api.rows import Listing
from providers.vast.instance_request import rent_body
from sandbox.faults import Faults
from sandbox.market.calls import Account as EmulatedAccount
from sandbox.market.calls import Accounts
from sandbox.market.faults.lists import Lists
from sandbox.market.market import Market
from sandbox.market.protocol.thresholds import Thresholds
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract, Request
from sandbox.market.records.machines import Machine
from sandbox.market.server import KEY
from tests.doubles.clock import FakeClock
from tests.doubles.in_process import HOST, Door, Reachable
from tests.doubles.machines import machine_of, offer
from tests.doubles.rented_rows import Rows

__all__ = ["HOST_KEY", "FakeMarket", "TriesOnce", "offer", "raising"]

HOST_KEY = "SHA256:" + "A" * 43
FIRST_INSTANCE = 501
CREDIT_USD = 1e6
Hook = Callable[[Any], None]
Value = TypeVar("Value")


class TriesOnce(VastClient):
    """A client that tries each call once."""

    def _again(
        self, call: str, call_market: Callable[[], Value], repeat: tuple[type[errors.VastError], ...] = errors.DOUBTS
    ) -> Value:
        return call_market()


class FakeMarket(TriesOnce):
    """One account on the emulated market, and its client without the wire.

    The market lists `offers`, which may also be machines. `boot_seconds`: rent -> running; None for as long as the
    emulator takes. `before[call]` and `after[call]` hold functions for its next calls, None leaves a call alone.
    `instead[call]` answers every such call in the market's place, from the market's own call and the arguments: `search`,
    `list`, `whose` or `destroy`. `never_boots` holds machines that never run, `messages` docker's text by machine that
    cannot.
    """

    def __init__(
        self,
        clock: FakeClock,
        offers: Sequence[Offer | Machine] | None = None,
        boot_seconds: float | None = 30,
    ) -> None:
        super().__init__(f"http://{HOST}", KEY, NoRateLimit(), clock, httpx.MockTransport(_no_wire))
        self.clock, self.boot_seconds, self.few = clock, boot_seconds, True
        self.faults = Faults()
        time = MarketClock(1.0, start=clock.time(), real=clock.monotonic)
        self.emulator = Market(time, [], Reachable(), self.faults, spawn=lambda work: work(), ids_from=FIRST_INSTANCE)
        thresholds = Thresholds(1.0, clock.monotonic, enforced=False)
        lists = Lists(self.faults)
        first = EmulatedAccount(self.emulator, thresholds, KEY, CREDIT_USD, {}, lists, number=7, name="team")
        self.accounts, self.key = Accounts(first), KEY
        self._door = Door(self.accounts)
        self._plain = self._door  # type: ignore[assignment]  # which also has the files with the logs
        self.calls: list[tuple[str, Any]] = []
        self.before: dict[str, list[Hook | None]] = {}
        self.after: dict[str, list[Hook | None]] = {}
        self.instead: dict[str, Callable[..., Any]] = {}
        self.never_boots: set[int] = set()
        self.messages: dict[int, str] = {}
        self._known: set[int] = set()
        self.offers = [offer(n) for n in range(1, 6)] if offers is None else offers

    @property
    def rows(self) -> Rows:
        """Return the instances that are rented in truth."""
        return Rows(self.emulator)

    @property
    def owner(self) -> Account:
        """Return the first account, on which the tests rent."""
        return Account(id=self.accounts.first.number, username=self.accounts.first.name)

    @property
    def keys(self) -> dict[int, set[str]]:
        """Return the public keys that are attached, by instance."""
        return {one.id: set(one.keys.values()) for one in self.emulator.all() if one.keys}

    @property
    def offers(self) -> list[Offer]:
        """Return all offers, without a filter."""
        return [Offer.model_validate(row) for row in self.emulator.listed()]

    @offers.setter
    def offers(self, rows: Sequence[Offer | Machine]) -> None:
        self.emulator._listed.clear()
        for row in rows:
            if isinstance(row, Machine):
                self.emulator.list_again(row)
            else:
                self.emulator.list_again(machine_of(row), row.id)

    def use_key_of(self, name: str) -> None:
        """Make the next calls with the key of an account, by its name: `team` is the first, any other is made."""
        self.key = self.accounts.named(name).key

    def add(self, label: str, source: Offer, image: str = "image", disk: float = 20) -> int:
        """Rent an offer now in the name of somebody else, and return the instance's id."""
        self.emulator.list_again(machine_of(source), source.id)
        body = rent_body(image, disk, label, "true", 8443)
        contract = self.emulator.rent(source.id, Request.model_validate(body))
        self._fresh(contract)
        return contract.id

    @contextlib.contextmanager
    def playing(self, fault: str | None, **options: Any) -> Iterator[None]:
        """Let a fault of the emulator strike the calls of the block, and none after it; None for no fault."""
        if fault:
            self.faults.arm(fault, **options)
        try:
            yield
        finally:
            if fault:
                self.faults.disarm(fault)

    def passes(self) -> None:
        """Let the market's time pass: boots end, faults strike. It runs before each answer."""
        for contract in self.emulator.all():
            if contract.id not in self._known:
                self._fresh(contract)
        self.emulator.tick()

    def _fresh(self, contract: Contract) -> None:
        """Set how a fresh contract boots."""
        machine = contract.machine.machine_id
        self._known.add(contract.id)
        if self.boot_seconds is not None:
            contract.due = contract.born + self.boot_seconds
        contract.never_boots = contract.never_boots or machine in self.never_boots
        if machine in self.messages:
            contract.phase, contract.message = "failed", self.messages[machine]

    def verify_key(self) -> None:
        self._step("account", None)
        super().verify_key()

    def account(self) -> Account:
        self._step("whose", None)
        return self._answer("whose", super().account)

    def search(self, query: dict[str, Any]) -> Listing[Offer]:
        self._step("search", query)
        return self._answer("search", super().search, query)

    def forget_search(self, query: dict[str, Any]) -> None:
        self.calls.append(("forget", query))

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        self._step("rent", offer_id)
        number = super().rent(offer_id, body)
        self._run(self.after, "rent", number)
        return number

    def show(self, instance_id: int) -> Instance | None:
        self._step("show", instance_id)
        return super().show(instance_id)

    def should_look_by_id(self, _instance_id: int) -> bool:
        return self.few

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        self._step("list", label)
        return self._answer("list", super().instances, label, age_seconds)

    def destroy(self, instance_id: int) -> None:
        self._step("destroy", instance_id)
        self._answer("destroy", super().destroy, instance_id)

    def start(self, instance_id: int) -> None:
        self._step("start", instance_id)
        super().start(instance_id)

    def attach_key(self, instance_id: int, public_key: str) -> None:
        self._step("attach", instance_id)
        super().attach_key(instance_id, public_key)

    def detach_key(self, instance_id: int, public_key: str) -> None:
        self._step("detach", instance_id)
        super().detach_key(instance_id, public_key)

    def price_increases(self) -> Listing[PriceIncrease]:
        self._step("increases", None)
        return super().price_increases()

    def log(self, instance_id: int, lines: int = 1000) -> str:
        self._step("log", instance_id)
        return super().log(instance_id, lines)

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        self._step("last log", (instance_id, daemon, seconds))
        return super().last_log(instance_id, daemon, seconds)

    def _step(self, call: str, argument: Any) -> None:
        self.calls.append((call, argument))
        self._run(self.before, call, argument)

    def _run(self, hooks: dict[str, list[Hook | None]], call: str, argument: Any) -> None:
        queue = hooks.get(call) or []
        hook = queue.pop(0) if queue else None
        if hook:
            hook(argument)

    def _answer(self, call: str, truth: Callable[..., Value], *words: Any) -> Value:
        instead = self.instead.get(call)
        answer: Value = instead(truth, *words) if instead else truth(*words)
        return answer

    def _send(
        self,
        call: str,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        params: dict[str, str] | None,
        _seconds: float,
    ) -> tuple[int, str | None, dict[str, Any]]:
        self.passes()
        return self._door.ask(self.key, call, method, path, body, params)


def raising(error: BaseException) -> Hook:
    """A hook that raises."""

    def hook(_argument: Any) -> None:
        raise error

    return hook


def _no_wire(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was asked over a wire")
