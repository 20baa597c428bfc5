"""The processes of one slot's stack, each under the slot's lock. They tell the event for the slot's row."""

from dataclasses import replace

from controller import waves
from controller.leaving import Gate, Leaving, Next
from controller.loop.rules import Rules
from controller.ports import MarketStatus, Pause, Ports, RunEnd, SlotId, SlotLock, Steps, UpResult, unseen
from controller.reasons import Reason, Rule
from controller.slots import Slot, SlotEvent, State, advance

SILENT_SECONDS = 60.0  # longest wait under the lock for a host that does not answer
SETTLE_PAUSE_SECONDS = 0.4
BUSY_PAUSE_SECONDS = 5.0

Ended = tuple[SlotEvent, "float | None", tuple[Reason, ...]]


def run(
    ports: Ports, rules: Rules, place: SlotId, meant: Slot, longest_seconds: float, only_if_gone: bool = False
) -> Steps[RunEnd | None]:
    """Run the slot's stack as its row says. Return None if another process has lock or row, or the outcome is unknown.

    `longest_seconds`: the longest duration of one request. `only_if_gone`: do nothing unless the instance is gone.
    """
    yield Pause()
    with ports.rows.slot_lock(*place) as mine:
        if not mine:
            return None
        yield Pause()
        row = next((row for row in ports.rows.slots(place.fleet) if row.index == place.slot), Slot(place.slot))
        if why := rules.changed(meant, row):
            ports.ledger.dropped(place.fleet, place.slot, why)
            return None
        begun = replace(row, version=row.version + 1)
        if meant.state is row.state:
            begun = advance(row, SlotEvent.BEGAN, ports.clock.time())
        if not ports.rows.write(place.fleet, row, begun):
            return None
        ended = yield from _gone(ports, place, meant)
        if ended is None and meant.state is State.READY and not only_if_gone:
            return (yield from _mended(ports, rules, place, begun, longest_seconds, mine))
        if ended is None and not only_if_gone:
            ended = yield from _work(ports, rules, place, meant, longest_seconds, mine)
        return _run_end(ports, place, ended, begun)


def _run_end(ports: Ports, place: SlotId, ended: Ended | None, begun: Slot) -> RunEnd | None:
    if ended is None:
        return None
    proves = _failed_before(ports, place) if ended[0] is SlotEvent.SERVED else ()
    return RunEnd(ended[0], begun, ended[1], ended[2], proves)


def _failed_before(ports: Ports, place: SlotId) -> tuple[Slot, ...]:
    """Return the rows of slots whose change to this slot's present config has failed.

    Failures after this moment still count.
    """
    digest = ports.stacks.digests([place]).get(place)
    return () if digest is None else waves.failed_at(ports.rows.slots(place.fleet), digest)


def _gone(ports: Ports, place: SlotId, meant: Slot) -> Steps[Ended | None]:
    """Remove the stack of an instance that is gone. Only then its row is absent, and the next rent begins with nothing."""
    if meant.state is State.RENTING or ports.market.lives([place], fresh=True).get(place) is not MarketStatus.GONE:
        return None
    if not (yield from ports.stacks.destroy(place)):
        return None
    return SlotEvent.GONE, None, (Reason(Rule.GONE, "the market lists no instance under its label"),)


def _work(
    ports: Ports, rules: Rules, place: SlotId, meant: Slot, longest_seconds: float, mine: SlotLock
) -> Steps[Ended | None]:
    if meant.state is State.ENDING:
        return (yield from _down(ports, rules, place, meant, longest_seconds, mine))
    if meant.state is State.RENTING:
        return (yield from _rent(ports, rules, place, meant, longest_seconds))
    return None


def _rent(ports: Ports, rules: Rules, place: SlotId, meant: Slot, longest_seconds: float) -> Steps[Ended | None]:
    """Run `up` if the fleet still wants the slot. It may serve already, unknown to its row; then its requests end first."""
    made_of, quiet = (yield from ports.stacks.made_of(place)), False
    while True:
        fleet = ports.fleets.applied(fresh=True).get(place.fleet)
        if why := rules.unwanted(meant, fleet.elastic if fleet else None):
            return SlotEvent.WITHDRAWN, None, (why,)
        if quiet or made_of is None or fleet is None or made_of == fleet.digest:
            return (yield from _up(ports, place))
        quiet = yield from _may_restart(ports, rules, place, meant, longest_seconds)
        if not quiet:
            return None


def _up(ports: Ports, place: SlotId) -> Steps[Ended]:
    """Rent and boot an instance, or adopt, mend or change the one that is there; then the gate is open."""
    came = yield from ports.stacks.up(place)
    if came.served and came.endpoint:
        ports.rows.set_endpoint(place.fleet, place.slot, came.endpoint)
    return _event(came), came.usd_per_hour, (Reason(Rule.STACK, came.says),) if came.says else ()


def _event(came: UpResult) -> SlotEvent:
    if came.served:
        return SlotEvent.SERVED
    return SlotEvent.DIED if came.fresh else SlotEvent.BROKE


def _mended(
    ports: Ports, rules: Rules, place: SlotId, begun: Slot, longest_seconds: float, mine: SlotLock
) -> Steps[RunEnd | None]:
    """Run `up` of a slot that should serve. If it brings an edit, first its row says so, then its requests end."""
    marked, brings = yield from _marked(ports, rules, place, begun)
    if marked is None:
        return None
    if brings:
        if not (yield from _may_restart(ports, rules, place, marked, longest_seconds)) or not mine.still():
            return None
        fleet = ports.fleets.applied(fresh=True).get(place.fleet)  # another edit may have come meanwhile
        if fleet is not None and fleet.digest != marked.follows:
            was, marked = marked, replace(marked, version=marked.version + 1, follows=fleet.digest)
            if not ports.rows.write(place.fleet, was, marked):
                return None
    return _run_end(ports, place, (yield from _up(ports, place)), marked)


def _marked(ports: Ports, rules: Rules, place: SlotId, begun: Slot) -> Steps[tuple[Slot | None, bool]]:
    """Return the row, marked if `up` brings an edit, and whether it does. No row: the slot stays as it is."""
    made_of = yield from ports.stacks.made_of(place)
    fleet = ports.fleets.applied(fresh=True).get(place.fleet)
    if fleet is None:
        return None, False
    is_open = _is_open(ports, place)
    if made_of == fleet.digest:
        return None if is_open and begun.follows is None else begun, False
    marked = replace(begun, version=begun.version + 1, follows=fleet.digest)
    if not ports.rows.write(place.fleet, begun, marked):
        return None, False
    yield Pause(slot=place.slot)
    why = rules.crowded(ports.rows.slots(place.fleet), fleet.digest, fleet.rollout)
    if why is None or not is_open:  # a slot that is down already goes on
        return marked, True
    ports.rows.write(place.fleet, marked, replace(marked, version=marked.version + 1, follows=None))
    ports.ledger.dropped(place.fleet, place.slot, why)
    return None, False


def _is_open(ports: Ports, place: SlotId) -> bool:
    sight = ports.hosts.look([place]).get(place)
    return sight is not None and sight.look.gate is Gate.OPEN


def _down(
    ports: Ports, rules: Rules, place: SlotId, meant: Slot, longest_seconds: float, mine: SlotLock
) -> Steps[Ended | None]:
    """Close the gate, see it closed and quiet, destroy, and see the instance gone."""
    dead = meant.dead and (yield from _is_dead_still(ports, place))
    quiet = yield from _quiet(ports, rules, place, replace(meant, dead=dead), longest_seconds)
    if quiet is None:
        return None
    yield Pause(slot=place.slot)
    if not mine.still() or not (yield from ports.stacks.destroy(place)):
        return None  # another process may have the lock, or the market did not confirm it
    return SlotEvent.GONE, None, (quiet,)


def _is_dead_still(ports: Ports, place: SlotId) -> Steps[bool]:
    """Return whether nothing there ever served, or the market names its failure: a person's `up` may have replaced it."""
    if (yield from ports.stacks.made_of(place)) is None:
        return True
    return ports.market.lives([place], fresh=True).get(place) is MarketStatus.DEAD


def _may_restart(ports: Ports, rules: Rules, place: SlotId, meant: Slot, longest_seconds: float) -> Steps[bool]:
    """Close the gate, and return whether a restart cuts no request.

    A host that does not answer may restart if the market says that it has failed or is gone.
    """
    if (yield from _quiet(ports, rules, place, meant, longest_seconds)) is not None:
        return True
    if not _as_meant(ports, place, meant):
        return False
    return ports.market.lives([place], fresh=True).get(place) in (MarketStatus.DEAD, MarketStatus.GONE)


def _quiet(ports: Ports, rules: Rules, place: SlotId, meant: Slot, longest_seconds: float) -> Steps[Reason | None]:
    """Close the gate under the lock, and return why no request is cut now; None if the host does not tell."""
    clock = ports.clock
    known = Leaving(longest_seconds, locked=True, dead=meant.dead)
    until = clock.monotonic() + SILENT_SECONDS
    while True:
        yield Pause(slot=place.slot)
        sight = ports.hosts.look([place]).get(place) or unseen(clock.monotonic())
        if meant.state is not State.ENDING and not _as_meant(ports, place, meant):
            return None  # right before the act: this process may have been held up
        answer = rules.leave(known, sight.look)
        known = answer.leaving
        if answer.next is Next.END:
            return answer.reason
        if answer.next is Next.CLOSE:
            ports.hosts.close([place])
        elif known.closed_at is None and clock.monotonic() > until:
            return None  # others may look at the slot meanwhile
        else:
            yield Pause(SETTLE_PAUSE_SECONDS if known.quiet_at is not None else BUSY_PAUSE_SECONDS, place.slot)


def _as_meant(ports: Ports, place: SlotId, meant: Slot) -> bool:
    """Return whether the row's state and mark are unchanged. The slot may have left and come back with an open gate."""
    row = next((row for row in ports.rows.slots(place.fleet) if row.index == place.slot), Slot(place.slot))
    return (row.state, row.follows) == (meant.state, meant.follows)
