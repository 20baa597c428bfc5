"""Run one controller process: the loop in a thread, its regular errands in others, and the API in front."""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from bootstrap.clock import SystemClock
from config.base import PROJECT
from config.monitoring import BudgetConfig
from config.slot_names import SlotName
from controller.loop.tick import TICK_SECONDS, Loop
from controller.ports import Ports, SlotId, WorldUnavailable
from controller.pulumi_cli import PulumiFolders
from controller.slot_stack import SlotStack, read_parent
from controller.slots import Slot
from controller.store.errors import StoreDown
from controller.store.store import Store
from controller.world.children import Children
from controller.world.drive import Ending, Threads, drive
from controller.world.hosts import HostCalls
from controller.world.leases import EVERY_SECONDS as LEASE_SECONDS
from controller.world.leases import Leases, doors
from controller.world.ledgers import Decisions
from controller.world.main_stack import EVERY_SECONDS as READ_SECONDS
from controller.world.main_stack import MainStack
from controller.world.market import EVERY_SECONDS as LIST_SECONDS
from controller.world.market import Account, SlotLives
from controller.world.metrics import LoopMetrics
from controller.world.purse import EVERY_SECONDS as SPEND_SECONDS
from controller.world.purse import Look, SpendReadings, StackPurse
from controller.world.settings import ControllerSettings
from controller.world.stacks import Outputs, SlotStacks, address_of
from controller.world.table import Table
from providers.elastic.applied import Applied
from providers.ledger.bucket_ledger import BucketLedger, open_ledger
from providers.ledger.folder_ledger import FolderLedger
from providers.store.client import Keys
from providers.vast.instance_budget import open_look
from providers.vast.limits import Limits
from providers.vast.settings import BudgetSettings
from providers.vast.stack_market import StackMarket, open_market

LOG = logging.getLogger("controller")
LEAST_SECONDS = 1.0  # between two ticks, whatever wakes the loop
AGAIN_SECONDS = 5.0  # after the database did not answer
END_SECONDS = 8.0  # for commands of Pulumi to give up their locks


@dataclass(frozen=True)
class OpenMarket:
    """The stack's account, opened once for its key."""

    key: tuple[str, str, float]
    market: StackMarket

    @property
    def account(self) -> Account:
        """Return what the loop takes of it."""
        return Account(self.market.client, self.market.limits, self.market.scale)


class Service:
    """Everything of one process. `environ` is for the commands of Pulumi: passphrase and keys of the backend."""

    def __init__(self, settings: ControllerSettings, environ: Mapping[str, str], store: Store) -> None:
        self._settings, self._environ, self.store = settings, environ, store
        self._clock = SystemClock()
        self._stopped, self._wake, self._looked = threading.Event(), threading.Event(), threading.Event()
        self._opened: OpenMarket | None = None
        self._guard = threading.Lock()
        self._leads = False
        self._leased: list[tuple[str, Slot]] = []
        self.children = Children()
        self._place = PulumiFolders(settings.project, settings.work, {"PULUMI_BACKEND_URL": settings.backend})
        self.main = MainStack(self._read, self._clock.monotonic)
        self.table = Table(store, self._clock.time)
        self._lives = SlotLives(self._account, self.main.last, self._wait, self._clock.monotonic)
        self._spending = SpendReadings(self._look, self._clock)
        self._outputs = Outputs(self._stack_of, self._clock.monotonic)
        self._hosts = HostCalls(lambda place: address_of(self._outputs.get(place), self.main.last()))
        self._leases = Leases()
        self._threads: list[threading.Thread] = []

    def loop(self, metrics: LoopMetrics) -> Loop:
        """Make the loop over the real world."""
        self._metrics = metrics
        self.decisions = Decisions(self.table, metrics, self._ledger, self.main.last, self._clock.time)
        purse = StackPurse(self._budget, self._spending, self._lives.others, self._clock, self._time_scale, self._name)
        ports = Ports(
            rows=self.table,
            fleets=self.main,
            hosts=self._hosts,
            market=self._lives,
            stacks=SlotStacks(self._stack_of, self.decisions.progressed, self._outputs),
            tasks=Threads(self._wait, self._settings.boots_at_once, self.decisions.failed, self._wake.set),
            purse=purse,
            ledger=self.decisions,
            clock=self._clock,
        )
        return Loop(ports, dead_seconds=self._dead_seconds())

    def start(self, metrics: LoopMetrics) -> None:
        """Begin to work; returns at once."""
        loop = self.loop(metrics)
        self.decisions.start()
        self._every(READ_SECONDS, "main stack", self._refresh, at_once=True)
        self._every(LIST_SECONDS, "market", self._lives.read)
        self._every(LEASE_SECONDS, "leases", self._renew)
        self._every(SPEND_SECONDS, "spend", self._spend)
        self._thread("claims", self._listen)
        self._thread("loop", lambda: self._tick(loop))

    def stop(self) -> None:
        """End within seconds. No slot ends by it: rows tell the next process which steps had begun."""
        self._stopped.set()
        self._wake.set()
        self._looked.set()
        for thread in self._threads:
            if thread.name == "loop":
                thread.join(END_SECONDS)
        self.children.end(END_SECONDS)
        self._outputs.end()
        self._hosts.end()

    # -- threads

    def _thread(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _every(self, seconds: float, name: str, act: Callable[[], bool | None], at_once: bool = False) -> None:
        """Act again and again; sooner if `act` returns False, because something that it needs is not there yet.

        Unless `at_once`, the first look at the main stack comes first, which names the account.
        """

        def run() -> None:
            if not at_once:
                self._looked.wait(READ_SECONDS)
            while not self._stopped.is_set():
                done = None
                try:
                    done = act()
                except Exception as error:  # noqa: BLE001 -- the next round tries again
                    self.decisions.failed(name, error)
                self._stopped.wait(min(seconds, AGAIN_SECONDS) if done is False else seconds)

        self._thread(name, run)

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Ending

    def _tick(self, loop: Loop) -> None:
        self._looked.wait(READ_SECONDS)  # at the main stack for the first time
        while not self._stopped.is_set():
            began = self._clock.monotonic()
            try:
                self._leads = drive(loop.turn(), self._wait)
                self._metrics.ticked(self._leads)
            except Ending:
                return
            except Exception as error:  # noqa: BLE001 -- the next tick looks at everything anew
                self.decisions.failed("tick", error)
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()
            self._stopped.wait(max(0.0, began + LEAST_SECONDS - self._clock.monotonic()))

    def _listen(self) -> None:
        """Wake the loop when a client claims instances or gives them back."""
        watch = self.store.watch()
        while not self._stopped.is_set():
            try:
                if "claims" in watch.wait(TICK_SECONDS):
                    self._wake.set()
            except StoreDown:
                self._stopped.wait(AGAIN_SECONDS)
        watch.close()

    def _refresh(self) -> None:
        known = self.main.refresh()
        self._looked.set()
        if not known:
            self.main.now()
        applied = self.main.last()
        self._metrics.bounds({name: one.bounds for name, one in applied.fleets.items()} if applied else {})

    def _renew(self) -> bool:
        if not self._leads:
            return False  # soon again: a controller that has just begun to lead renews at once
        with suppress(StoreDown):  # the leases of the slots that were there last are renewed all the same
            self._leased = [
                (fleet, slot) for fleet in self.table.fleets_with_slots() for slot in self.table.slots(fleet)
            ]
        found = doors(self._leased, self._outputs.get, self.main.last())
        silent = self._leases.all(found)
        self._metrics.renewed({(door.place.fleet, self._name(door.place)): door.place not in silent for door in found})
        for place in silent:
            LOG.warning("the lease of %s could not be renewed", place)
        return True

    def _spend(self) -> bool:
        applied = self.main.last()
        if applied is None:
            return False
        return self._spending.read() if applied.budget.enforce and applied.budget.by_period else True

    # -- the applied stack

    def _read(self) -> Applied | None:
        found = read_parent(self._settings.stack, self._place, self._environ, self.children.run)
        wanted = found.controller.backend if found else ""
        if wanted and wanted != self._settings.backend:
            raise WorldUnavailable(
                f"{PROJECT}:controller names another backend than this process has; set GPU_FLEET_BACKEND to {wanted}"
            )
        return found

    def _name(self, place: SlotId) -> str:
        return SlotName(self._settings.stack, place.fleet, place.slot).instance

    def _stack_of(self, place: SlotId) -> SlotStack:
        slot = SlotName(self._settings.stack, place.fleet, place.slot)
        return SlotStack(slot, self._place, self._environ, self.children.run)

    def _budget(self) -> BudgetConfig:
        applied = self.main.now()
        return applied.budget if applied else BudgetConfig()

    def _market(self) -> OpenMarket | None:
        applied = self.main.last()
        if applied is None:
            return None
        scale = next((_scale(one.instance) for one in applied.fleets.values()), 1.0)
        secret = applied.keys.get("vastApiKey")
        key = (applied.market_url, secret.get_secret_value() if secret else "", scale)
        with self._guard:
            if self._opened is None or self._opened.key != key:
                config = {
                    f"{PROJECT}:vastApiKey": key[1],
                    f"{PROJECT}:market": {"url": key[0], "timeScale": key[2]},
                }
                market = open_market(applied.stack, config, self._environ)
                self._opened = OpenMarket(key, market)
            return self._opened

    def _account(self) -> Account | None:
        found = self._market()
        return found.account if found else None

    def _look(self) -> Look | None:
        """Ask for the stack's spend and reservations; None while the account or the store is unknown."""
        applied, found, place = self.main.last(), self._market(), self._store_place()
        if applied is None or found is None or place is None:
            return None
        terms = BudgetSettings.model_validate(applied.budget.input_of(applied.fleets.keys()))
        market = found.market
        one = open_look(
            terms, applied.stack_id, market.scale, place, market.folder, market.client.charges, is_slot=True
        )
        return one.look(market.client)

    def _time_scale(self) -> float:
        found = self._market()
        return found.market.scale if found else 1.0

    def _dead_seconds(self) -> float:
        """Return for how long the market must name a failure: as long as an `up` waits before it replaces a machine."""
        found = self._market()
        return found.market.limits.down_seconds if found else Limits().down_seconds

    def _ledger(self) -> BucketLedger | FolderLedger | None:
        place = self._store_place()
        return open_ledger(*place) if place else None

    def _store_place(self) -> tuple[str, str, str, Keys, SystemClock] | None:
        """Return where the stack's bucket is, with its keys; None while that is unknown."""
        applied = self.main.last()
        if applied is None:
            return None
        place = next((one.instance["store"] for one in applied.fleets.values() if one.instance.get("store")), None)
        if place is None:
            return None
        access, secret = (applied.keys.get(name) for name in ("storeAccessKey", "storeSecretKey"))
        keys = Keys(access.get_secret_value() if access else "", secret.get_secret_value() if secret else "")
        endpoint = str(place.get("ownEndpoint") or place["endpoint"])
        return endpoint, str(place.get("region") or ""), str(place["bucket"]), keys, self._clock


def _scale(instance: Mapping[str, object]) -> float:
    market = instance.get("market")
    return float(market.get("timeScale") or 1.0) if isinstance(market, Mapping) else 1.0
