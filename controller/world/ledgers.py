"""Where the loop's decisions go: the stack's ledger, the store for those who follow, the log, and counters.

A thread writes to the bucket, which may take seconds, so that no tick waits for it. If the bucket does not answer, the ledger
keeps events in a folder of this machine.
"""

import logging
import queue
import threading
from collections.abc import Callable

from config.slot_names import SlotName
from controller.plan import Plan
from controller.ports import SlotId
from controller.reasons import Reason
from controller.scaling import Decision
from controller.slots import Slot, SlotEvent
from controller.store.errors import StoreDown
from controller.world.metrics import LoopMetrics
from controller.world.table import Table
from providers.elastic.applied import Applied
from providers.ledger import event as ledger_event
from providers.ledger.ledger import Ledger as Kept

LOG = logging.getLogger("controller")
MOST_WAITING = 10_000  # events; beyond them the oldest are left to the store's own record
MESSAGE_LETTERS = 600


class Decisions:
    """Satisfies `Ledger`. `ledger` returns the stack's ledger, None while its place is unknown; `wall` unix seconds."""

    def __init__(
        self,
        table: Table,
        metrics: LoopMetrics,
        ledger: Callable[[], Kept | None],
        applied: Callable[[], Applied | None],
        wall: Callable[[], float],
    ) -> None:
        self._table, self._metrics, self._ledger, self._applied, self._wall = table, metrics, ledger, applied, wall
        self._noted: dict[str, tuple[object, ...]] = {}
        self._waiting: queue.Queue[ledger_event.Event] = queue.Queue(MOST_WAITING)

    def start(self) -> None:
        """Begin to write to the ledger."""
        threading.Thread(target=self._write, name="ledger", daemon=True).start()

    def decided(self, decision: Decision, plan: Plan) -> None:
        """Count the decision, and note it if its count or the rules that spoke have changed since the last one."""
        self._metrics.decided(decision, plan)
        given = (*decision.reasons, *plan.held)
        mark = (decision.desired, tuple(reason.rule for reason in given))
        if self._noted.get(decision.fleet) == mark:
            return
        self._noted[decision.fleet] = mark
        LOG.info("%s: %d are desired, %d there: %s", decision.fleet, decision.desired, decision.capacity, _says(given))
        self._note(decision.fleet, None, "decided", given)

    def happened(self, fleet: str, was: Slot, now: Slot, event: SlotEvent, reasons: tuple[Reason, ...]) -> None:
        """Note a change of a row. The store has it already, in the same transaction as the row."""
        self._metrics.happened(fleet, event)
        changed = f"{was.state.value} -> {now.state.value}"
        LOG.info("%s-%d: %s, %s: %s", fleet, now.index, event.value, changed, _says(reasons))
        self._keep(fleet, now, event, reasons)

    def dropped(self, fleet: str, index: int | None, reason: Reason) -> None:
        """Note that something decided is not done."""
        self._metrics.dropped(fleet, reason)
        LOG.info("%s%s: not done: %s", fleet, "" if index is None else f"-{index}", reason.says)
        self._note(fleet, index, "dropped", (reason,))

    def failed(self, what: str, error: Exception) -> None:
        """Note that a part of the work failed. Its text was written for the operator; others show their class."""
        self._metrics.failed(error)
        LOG.warning("%s: %s: %s", what, type(error).__name__, error)

    def progressed(self, place: SlotId, phase: str, text: str) -> None:
        """Note one line of a slot's `up` or destroy; the store gets the first line of each phase."""
        LOG.info("%s-%d: %s: %s", place.fleet, place.slot, phase, text)
        if self._metrics.is_new_phase(place, phase):
            self._note(place.fleet, place.slot, phase, (), text)

    def _note(self, fleet: str, index: int | None, event: str, reasons: tuple[Reason, ...], text: str = "") -> None:
        try:
            self._table.note(fleet, index, event, reasons, text)
        except StoreDown as error:
            self._metrics.failed(error)

    def _keep(self, fleet: str, slot: Slot, event: SlotEvent, reasons: tuple[Reason, ...]) -> None:
        applied = self._applied()
        if applied is None:
            return
        why = tuple(ledger_event.DecisionReason.model_validate(reason.record()) for reason in reasons)
        kept = ledger_event.Event(
            at=self._wall(),
            stack_id=applied.stack_id,
            name=SlotName(applied.stack, fleet, slot.index).instance,
            attempt=f"{slot.version:x}",
            step=1,
            outcome=ledger_event.Outcome.DECIDED,
            decision=event.value,
            reasons=why,
            message=_says(reasons)[:MESSAGE_LETTERS],
            usd_per_hour=slot.usd_per_hour,
        )
        try:
            self._waiting.put_nowait(kept)
        except queue.Full:
            LOG.warning("the ledger does not keep up; the store has what it misses")

    def _write(self) -> None:
        while True:
            event = self._waiting.get()
            ledger = self._ledger()
            if ledger is not None:
                ledger.append(event)


def _says(reasons: tuple[Reason, ...]) -> str:
    return "; ".join(reason.says for reason in reasons)
