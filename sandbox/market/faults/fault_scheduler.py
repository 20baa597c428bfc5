"""Plays the faults that change an instance, or its machine, without a call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.faults import FAULTS, Armed, Arming, Fault, Faults, Occasion
from sandbox.hosts.spec import Host
from sandbox.market.faults.instance_faults import INSTANCE_FAULTS, InstanceFault
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract

DELETED_SECONDS = 48 * 3600.0  # after the end of a contract
SETTLED_SECONDS = 60.0  # after this time a fault of the moment `later` strikes a running instance


class Market(Protocol):
    """The part of the market that faults need. Call it with the market's lock held."""

    clock: MarketClock
    faults: Faults
    credit_gone: bool

    def all(self) -> list[Contract]:
        """Return every contract."""

    def stop(self, instance_id: int) -> None:
        """Stop an instance."""

    def destroy(self, instance_id: int) -> None:
        """End a contract."""

    def handle(self, contract: Contract, *actions: Callable[[], None]) -> None:
        """Run actions on a host in another thread, because they block."""


@dataclass
class FaultScheduler:
    """Strikes contracts when a fault's moment comes, and mends the damage later. Call it with the market's lock held."""

    market: Market
    _mending: list[tuple[Armed, Callable[[], None]]] = field(default_factory=list)
    _due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def tick(self) -> None:
        """Strike contracts whose moment has come, continue begun faults, and mend finished ones. Called often."""
        now = self.market.clock.now()
        for arming in self.market.faults.waiting("market", "host", "vllm"):
            fault, instance_fault = FAULTS[arming.name], INSTANCE_FAULTS.get(arming.name)
            for contract in self.market.all():
                if instance_fault is not None and self._reached(instance_fault, arming, contract, now):
                    self._strike(instance_fault, fault, contract)
                elif fault.on_host and arming.instance and contract.phase == "up" and contract.host is not None:
                    action = self.action_on_host(fault, contract, contract.host)
                    if action is not None:
                        self.market.handle(contract, action)
            if arming.name == "credit-exhausted":
                self._end_credit()
        self._end_commands(now)
        self._end_contracts(now)
        self._go_on(now)

    def strike_at_start(self, contract: Contract) -> None:
        """Strike a contract that starts to run, before a client can see it run."""
        for arming in self.market.faults.waiting("market"):
            instance_fault = INSTANCE_FAULTS.get(arming.name)
            if instance_fault is not None and instance_fault.moment == "up":
                self._strike(instance_fault, FAULTS[arming.name], contract)

    def action_on_host(self, fault: Fault, contract: Contract, host: Host) -> Callable[[], None] | None:
        """Return the action that lets a host play a fault, if it strikes this contract. The end of the fault mends
        it.
        """
        armed = self.market.faults.take(fault.name, Occasion((contract.subject,)), contract.id)
        if armed is None or fault.on_host is None:
            return None
        name, options = fault.on_host
        self._mending.append((armed, lambda: self.market.handle(contract, lambda: host.fault(name, on=False))))
        return lambda: host.fault(name, **options)

    def _reached(self, instance_fault: InstanceFault, arming: Arming, contract: Contract, now: float) -> bool:
        if instance_fault.moment == "boot":
            half = (contract.born + contract.due) / 2
            return contract.phase == "booting" and contract.first_boot and not contract.starting and now >= half
        if contract.phase != "up" or contract.up_since is None:
            return False
        settled = now >= contract.up_since + SETTLED_SECONDS
        return instance_fault.moment == "up" or settled or arming.instance is not None

    def _strike(self, instance_fault: InstanceFault, fault: Fault, contract: Contract) -> None:
        if not instance_fault.possible(self.market, contract):
            return
        armed = self.market.faults.take(fault.name, Occasion((contract.subject,)), contract.id)
        if armed is None:
            return
        instance_fault.do(self.market, contract)
        if instance_fault.undo is not None:
            undo = instance_fault.undo
            self._mending.append((armed, lambda: undo(self.market, contract)))
        if instance_fault.then is not None:
            seconds, then = instance_fault.then
            self._due.append((self.market.clock.now() + seconds, lambda: then(self.market, contract)))

    def _end_commands(self, now: float) -> None:
        for contract in self.market.all():
            if contract.phase == "up" and contract.host is not None and contract.host.ended:
                contract.phase, contract.up_since = "exited", None
                contract.meter.halt(now)

    def _end_contracts(self, now: float) -> None:
        for contract in self.market.all():
            if now >= contract.ends + DELETED_SECONDS:
                self.market.destroy(contract.id)
            elif now >= contract.ends and contract.phase != "stopped":
                self.market.stop(contract.id)

    def _end_credit(self) -> None:
        armed = self.market.faults.take("credit-exhausted")
        if armed is None:
            return
        self.market.credit_gone = True
        for contract in self.market.all():
            self.market.stop(contract.id)

        def restore() -> None:
            self.market.credit_gone = False

        self._mending.append((armed, restore))

    def _go_on(self, now: float) -> None:
        due = [then for moment, then in self._due if moment <= now]
        self._due = [(moment, then) for moment, then in self._due if moment > now]
        over = [mend for armed, mend in self._mending if not self.market.faults.lasting(armed)]
        self._mending = [(armed, mend) for armed, mend in self._mending if self.market.faults.lasting(armed)]
        for action in (*due, *over):
            action()
