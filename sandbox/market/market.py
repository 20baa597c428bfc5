"""The state of one account on the market: offers, rentals and costs. All rules are here; HTTP is elsewhere.

Any thread may call any public method. Threads of their own make and change hosts, because that blocks. If a contract
is destroyed meanwhile, its thread ends the host too.
"""

import copy
import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from sandbox.faults import FAULTS, Faults, Occasion, Subject
from sandbox.hosts.spec import Host, Hosts, HostsError
from sandbox.market.faults.fault_scheduler import FaultScheduler
from sandbox.market.faults.rents import lost_race, price_after, twin_offer
from sandbox.market.host_network import HostNetwork
from sandbox.market.host_specs import host_spec
from sandbox.market.ids import first_id
from sandbox.market.protocol import api_errors
from sandbox.market.protocol.api_errors import ApiError
from sandbox.market.records import offers, states
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract, Request
from sandbox.market.records.machines import Machine
from sandbox.market.records.meter import Meter
from sandbox.market.threads import Threads

LATE_SECONDS = 60.0  # until reads show an instance that appears late


class Market:
    """One account on a market. `spawn` runs a function in another thread; tests pass one that runs it at once."""

    def __init__(
        self,
        clock: MarketClock,
        machines: list[Machine],
        hosts: Hosts,
        faults: Faults,
        network: HostNetwork | None = None,
        spawn: Callable[[Callable[[], None]], None] | None = None,
        ids_from: int | None = None,
    ) -> None:
        self.clock = clock
        self.faults = faults
        self.network = network or HostNetwork()
        self.account_keys: dict[int, str] = {}
        self._hosts = hosts
        self._threads = Threads()
        self._spawn = spawn or self._threads.spawn
        self.lock = threading.RLock()
        self._ids = itertools.count(first_id(time.time()) if ids_from is None else ids_from)
        self._offer_ids = itertools.count(20_000_000 + random.Random(len(machines)).randrange(1000))
        self._listed: dict[int, Machine] = {next(self._offer_ids): machine for machine in machines}
        self._contracts: dict[int, Contract] = {}
        self._ended: list[Contract] = []
        self.credit_gone = False
        self.fault_scheduler = FaultScheduler(self)
        self._accounts = [self]
        faults.clock = clock.now

    def another_account(self) -> "Market":
        """Return the state of one more account with the same machines, clock, hosts and faults."""
        other = copy.copy(self)
        other.account_keys, other._contracts, other._ended = {}, {}, []  # noqa: SLF001 -- another Market
        other.fault_scheduler, other.credit_gone = FaultScheduler(other), False
        with self.lock:
            self._accounts.append(other)
        return other

    def listed(self, storage_gb: float = offers.DEFAULT_STORAGE_GB, bid: bool = False) -> list[dict[str, Any]]:
        """Return every offer as a row; the prices include `storage_gb` of disk."""
        with self.lock:
            listed = self._listed.items()
            return [offers.row(machine, number, self.clock, storage_gb, bid) for number, machine in listed]

    def rent(self, offer_id: int, request: Request) -> Contract:
        """Rent an offer. Raises ApiError if it is gone or too small, or if the bid is too low."""
        now = self.clock.now()
        with self.lock:
            occasion = Occasion((Subject(0, request.label),), "create")
            lost = lost_race(self.faults, occasion) if offer_id in self._listed else None
            if lost is not None:
                del self._listed[offer_id]
                raise api_errors.no_such_ask(offer_id, lost)
            machine = self._listed.get(offer_id)
            if machine is None:
                raise api_errors.no_such_ask(offer_id)
            if request.disk > machine.disk_gb:
                more = f"disk {request.disk} GB is more than the {machine.disk_gb} GB there"
                raise ApiError(400, "invalid_args", more)
            contract = self._contract(machine, request, now)
            lowest = offers.gpu_usd_per_hour(machine, bid=True)
            if request.price is not None and request.price < lowest:
                contract.phase, contract.holds_gpu = "stopped", False
                raise api_errors.bid_too_low(offer_id, contract.id, lowest)
            del self._listed[offer_id]
            if request.target_state == "stopped":
                contract.phase = "stopped"
            if self.faults.take("no-credit-but-rented", occasion):
                contract.phase = "stopped"
                raise api_errors.no_credit(contract.id)
            if self.faults.take("stopped-contract", occasion):
                contract.phase = "stopped"
                raise api_errors.left_stopped(offer_id, contract.id)
            twin = twin_offer(self.faults, occasion, self._listed, request.disk)
            if twin is not None:
                self._contract(self._listed.pop(twin), request, now)
            return contract

    def get(self, instance_id: int, visible_only: bool = False) -> Contract:
        """Return a contract; with `visible_only`, only one that reads already show. Raises ApiError."""
        with self.lock:
            contract = self._contracts.get(instance_id)
        if contract and (self._visible(contract) or not visible_only):
            return contract
        raise api_errors.no_such_instance(instance_id)

    def visible(self) -> list[Contract]:
        """Return every contract that reads show, by id."""
        with self.lock:
            return sorted(filter(self._visible, self._contracts.values()), key=lambda contract: contract.id)

    def all(self) -> list[Contract]:
        """Return every existing contract, by id."""
        with self.lock:
            return sorted(self._contracts.values(), key=lambda contract: contract.id)

    def current_and_ended(self) -> list[Contract]:
        """Return every contract, also ended ones, by id."""
        with self.lock:
            return sorted([*self._ended, *self.all()], key=lambda contract: contract.id)

    def owner_of(self, api_key: str) -> Contract | None:
        """Return the contract whose container holds this key."""
        with self.lock:
            return next((one for one in self._contracts.values() if one.api_key == api_key), None)

    def stop(self, instance_id: int) -> None:
        """Stop an instance: the GPU costs no more, the disk stays and costs. The machine stays reserved. Raises
        ApiError.
        """
        with self.lock:
            contract = self.get(instance_id)
            contract.phase, contract.up_since = "stopped", None
            contract.meter.halt(self.clock.now())
            host = contract.host
        if host is not None:
            self.handle(contract, host.stop)

    def start(self, instance_id: int) -> None:
        """Start a stopped instance; a running one stays as it is. Raises ApiError."""
        now = self.clock.now()
        with self.lock:
            contract = self.get(instance_id)
            if not contract.holds_gpu or now >= contract.ends:
                raise api_errors.resources_unavailable()
            if contract.phase in ("stopped", "exited"):
                contract.phase, contract.first_boot = "booting", contract.host is None
                boot = states.boot_of(contract.machine, contract.request.image)
                contract.due = now + (boot.total if contract.first_boot else boot.start * states.RESTART_SHARE)

    def reboot(self, instance_id: int) -> None:
        """Stop and start an instance. Raises ApiError."""
        with self.lock:
            self.stop(instance_id)
            self.start(instance_id)
            contract, now = self.get(instance_id), self.clock.now()
            contract.rebooting_until = now + (contract.due - now) * states.REBOOTING_SHARE

    def destroy(self, instance_id: int) -> None:
        """End a contract and its charges, and list its machine again under another number. Raises ApiError."""
        with self.lock:
            contract = self.get(instance_id)
            del self._contracts[instance_id]
            contract.destroyed = True
            self.network.close_proxy(contract)
            now = self.clock.now()
            contract.meter.end(now)
            self._ended.append(contract)
            if contract.holds_gpu:
                self.list_again(contract.machine)
            host = contract.host
        if host is not None:
            self.handle(contract, host.destroy)

    def list_again(self, machine: Machine, number: int | None = None) -> None:
        """Offer a rented machine again, under another number. Call it with the lock held."""
        self._listed[next(self._offer_ids) if number is None else number] = machine

    def unlist(self, machine: Machine) -> bool:
        """Withdraw a machine's offer, and return whether it had one. Call it with the lock held."""
        return any(one is machine and self._listed.pop(number) for number, one in list(self._listed.items()))

    def usd_per_hour(self) -> float:
        """Return the current cost in $/h."""
        with self.lock:
            return sum(contract.meter.usd_per_hour() for contract in self._contracts.values())

    def usd_billed(self) -> float:
        """Return the cost since the market's start, in $."""
        now = self.clock.now()
        return sum(one.usd(now) for one in self.contracts())

    def contracts(self) -> list[Contract]:
        """Return every contract since the market's start, ended ones too."""
        with self.lock:
            return [*self._ended, *self._contracts.values()]

    def tick(self) -> None:
        """Do the due work of all accounts, such as starting a container whose image is there. Called often."""
        for one in list(self._accounts):
            one._tick()  # noqa: SLF001 -- another Market

    def _tick(self) -> None:
        now = self.clock.now()
        with self.lock:
            self.fault_scheduler.tick()
            due = [one for one in self._contracts.values() if one.is_due(now)]
            for contract in due:
                contract.starting = True
        for contract in due:
            self._spawn(lambda contract=contract: self._boot(contract))  # type: ignore[misc]

    def close(self) -> None:
        """Destroy every rental of every account and return when that is done."""
        for one in list(self._accounts):
            for contract in one.all():
                one.destroy(contract.id)
        self._threads.join()

    def _contract(self, machine: Machine, request: Request, now: float) -> Contract:
        usual = offers.gpu_usd_per_hour(machine) if request.price is None else request.price
        gpu = price_after(self.faults, Occasion((Subject(0, request.label),), "create"), usual)
        meter = Meter(gpu, offers.storage_usd_per_hour(machine, request.disk), now)
        boot = states.boot_of(machine, request.image)
        contract = Contract(next(self._ids), machine, request, meter, now, now + boot.total)
        contract.label = request.label
        contract.keys = dict(self.account_keys)
        if self.faults.take("late-in-reads", Occasion((contract.subject,), "create")):
            contract.hidden_until = now + LATE_SECONDS
        contract.never_boots = self.faults.take("never-boots", Occasion((contract.subject,))) is not None
        self.network.open_proxy(contract)
        self._contracts[contract.id] = contract
        return contract

    def _visible(self, contract: Contract) -> bool:
        return self.clock.now() >= contract.hidden_until

    def _boot(self, contract: Contract) -> None:
        """Make or start the host of a contract; blocks."""
        host, message = contract.host, states.refused(contract)
        try:
            if host is None and not message:
                host = self._hosts.create(host_spec(contract, self.network))
                self._break(contract, host)
            elif host is not None and not message:  # else the container exists and never starts
                host.start()
        except HostsError as error:
            message = f"Error response from daemon: {error}"
        with self.lock:
            contract.host, contract.starting = host, False
            gone, stopped = contract.destroyed, contract.phase == "stopped"
            if not (gone or stopped):
                contract.phase, contract.message = ("failed", message) if message else ("up", "")
            if contract.phase == "up":
                contract.up_since = self.clock.now()
                contract.meter.run(contract.up_since)
                self.fault_scheduler.strike_at_start(contract)
        if host is not None and (gone or stopped):
            self._handle(contract, host.destroy if gone else host.stop)

    def _break(self, contract: Contract, host: Host) -> None:
        with self.lock:
            contract.host = host  # from now on the host gets each attached key
            waiting = dict.fromkeys(arming.name for arming in self.faults.waiting("host", "vllm"))
            faults = [FAULTS[name] for name in waiting if FAULTS[name].on_host]
            actions = [self.fault_scheduler.action_on_host(fault, contract, host) for fault in faults]
            # Some keys were attached while the host started.
            attached = [lambda key=key: host.admit(key) for key in contract.keys.values()]
        for action in [*attached, *filter(None, actions)]:
            action()

    def handle(self, contract: Contract, *actions: Callable[[], None]) -> None:
        """Run actions on a host in another thread, because they block. An error becomes the contract's message."""

        def work() -> None:
            for action in actions:
                self._handle(contract, action)

        self._spawn(work)

    def _handle(self, contract: Contract, action: Callable[[], None]) -> None:
        try:
            action()
        except HostsError as error:
            contract.message = f"Error response from daemon: {error}"
