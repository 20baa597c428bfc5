"""Look at the slots that leave, a few times a tick: close, see it closed, settle, look again; or bring one back."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from controller.leaving import Answer, Leaving, Next
from controller.loop.known import Known
from controller.loop.rows import happened
from controller.loop.rules import Rules
from controller.ports import HostObservation, Pause, Ports, SlotId, Steps, unseen
from controller.reasons import Reason
from controller.slots import Slot, SlotEvent, State

LOOKS = 5
PAUSE_SECONDS = 0.4

Leavers = dict[SlotId, tuple[Known, Slot]]


def drain(ports: Ports, rules: Rules, fleets: Mapping[str, Known], off: Callable[[], Reason | None]) -> Steps[None]:
    """Bring all slots that leave nearer to their end, side by side. `off` returns why this tick does nothing any more."""
    left: Leavers = {}
    for known in fleets.values():
        for row in ports.rows.slots(known.fleet):
            if row.state is State.LEAVING:
                left[known.place(row.index)] = (known, row)
    for _look in range(LOOKS):
        if not left:
            return
        yield from _seams(left)
        answers = _judge(ports, rules, left, ports.hosts.look(tuple(left)))
        yield from _seams(left)
        if why := off():
            for place in left:
                ports.ledger.dropped(place.fleet, place.slot, why)
            return
        yield from _obey(ports, left, answers)


def _seams(left: Leavers) -> Steps[None]:
    for place in left:
        yield Pause(slot=place.slot)


def _obey(ports: Ports, left: Leavers, answers: Mapping[SlotId, Answer]) -> Steps[None]:
    """Carry out the answers. This tick looks no more at a slot that ends or comes back."""
    closing = [place for place, answer in answers.items() if answer.next is Next.CLOSE]
    if closing:
        ports.hosts.close(closing)
    for place, answer in answers.items():
        if answer.next is Next.REOPEN:
            known, row = left.pop(place)
            yield from reopen(ports, known, [row], (answer.reason,))
        elif answer.next is Next.END:
            known, row = left.pop(place)
            _end(ports, known, row, answer.reason)
    if not closing:
        yield Pause(PAUSE_SECONDS)


def _end(ports: Ports, known: Known, row: Slot, reason: Reason) -> None:
    """Write that a slot ends, unless it may be wanted back. The ledger gets the reason for keeping it once."""
    why = known.spares(row.index)
    if why is None:
        happened(ports, known.fleet, row, SlotEvent.END, (reason,))
    elif known.told_of.get(row.index) != row.version:
        known.told_of[row.index] = row.version
        ports.ledger.dropped(known.fleet, row.index, why)


def _judge(ports: Ports, rules: Rules, left: Leavers, sights: Mapping[SlotId, HostObservation]) -> dict[SlotId, Answer]:
    answers = {}
    for place, (known, row) in left.items():
        version, leaving = known.leaving.get(row.index, (-1, None))
        if leaving is None or version != row.version:  # another process chose it
            leaving = Leaving(known.longest_seconds)
        sight = sights.get(place) or unseen(ports.clock.monotonic())
        answers[place] = rules.leave(leaving, sight.look)
        known.leaving[row.index] = row.version, answers[place].leaving
    return answers


def reopen(ports: Ports, known: Known, rows: Sequence[Slot], reasons: Iterable[Reason]) -> Steps[None]:
    """Open the gates, then write `ready`: a slot that is `ready` in the table never has a closed gate."""
    opened = set(ports.hosts.open([known.place(row.index) for row in rows]))
    for row in rows:
        yield Pause(slot=row.index)
        if known.place(row.index) in opened:
            happened(ports, known.fleet, row, SlotEvent.REOPEN, tuple(reasons))
