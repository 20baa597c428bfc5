"""The processes of one slot's stack, each under the slot's lock. They tell the event for the slot's row."""

from dataclasses import replace

from controller.leaving import Leaving, Next
from controller.loop.rules import Rules
from controller.ports import Came, Held, Life, Pause, Place, Ports, Steps, Told, unseen
from controller.reasons import Reason, Rule
from controller.slots import Event, Slot, State, advance

SILENT_SECONDS = 60.0  # for so long it waits under the lock for a host that does not answer
SETTLE_PAUSE_SECONDS = 0.4
BUSY_PAUSE_SECONDS = 5.0
BOOTS = frozenset({State.RENTING, State.READY})

Ended = tuple[Event, "float | None", tuple[Reason, ...]]


def run(
    ports: Ports, rules: Rules, place: Place, meant: Slot, longest_seconds: float, only_if_gone: bool = False
) -> Steps[Told | None]:
    """Run the slot's stack as its row says. Return None if another process has the lock or the row, or nothing is sure.

    `longest_seconds`: so long may one request take. `only_if_gone`: do nothing unless the instance is gone.
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
            begun = advance(row, Event.BEGAN, ports.clock.time())
        if not ports.rows.write(place.fleet, row, begun):
            return None
        ended = yield from _gone(ports, place, meant)
        if ended is None and not only_if_gone:
            ended = yield from _work(ports, rules, place, meant, longest_seconds, mine)
        if ended is None:
            return None
        event, usd_per_hour, reasons = ended
        return event, begun, usd_per_hour, reasons


def _gone(ports: Ports, place: Place, meant: Slot) -> Steps[Ended | None]:
    """Remove the stack of an instance that is gone. Only then its row is absent, and the next rent begins with nothing."""
    if meant.state is State.RENTING or ports.market.lives([place], fresh=True).get(place) is not Life.GONE:
        return None
    if not (yield from ports.stacks.destroy(place)):
        return None
    return Event.GONE, None, (Reason(Rule.GONE, "the market lists no instance under its label"),)


def _work(
    ports: Ports, rules: Rules, place: Place, meant: Slot, longest_seconds: float, mine: Held
) -> Steps[Ended | None]:
    if meant.state is State.ENDING:
        return (yield from _down(ports, rules, place, meant, longest_seconds, mine))
    if meant.state in BOOTS:
        return (yield from _up(ports, rules, place, meant))
    return None


def _up(ports: Ports, rules: Rules, place: Place, meant: Slot) -> Steps[Ended]:
    """Rent and boot, or adopt what is there; then the gate is open."""
    if meant.state is State.RENTING:
        fleet = ports.fleets.applied(fresh=True).get(place.fleet)
        if why := rules.unwanted(meant, fleet.elastic if fleet else None):
            return Event.WITHDRAWN, None, (why,)
    came = yield from ports.stacks.up(place)
    if came.served and came.endpoint:
        ports.rows.set_endpoint(place.fleet, place.slot, came.endpoint)
    return _event(came), came.usd_per_hour, (Reason(Rule.STACK, came.says),) if came.says else ()


def _event(came: Came) -> Event:
    if came.served:
        return Event.SERVED
    return Event.DIED if came.fresh else Event.BROKE


def _down(
    ports: Ports, rules: Rules, place: Place, meant: Slot, longest_seconds: float, mine: Held
) -> Steps[Ended | None]:
    """Close the gate, see it closed and quiet under the lock, destroy, and see the instance gone."""
    clock = ports.clock
    known = Leaving(longest_seconds, locked=True, dead=meant.dead)
    until = clock.monotonic() + SILENT_SECONDS
    while True:
        yield Pause(slot=place.slot)
        sight = ports.hosts.look([place]).get(place) or unseen(clock.monotonic())
        answer = rules.leave(known, sight.look)
        known = answer.leaving
        if answer.next is Next.END:
            break
        if answer.next is Next.CLOSE:
            ports.hosts.close([place])
        elif known.closed_at is None and clock.monotonic() > until:
            return None  # others may look at the slot meanwhile
        else:
            yield Pause(SETTLE_PAUSE_SECONDS if known.quiet_at is not None else BUSY_PAUSE_SECONDS, place.slot)
    yield Pause(slot=place.slot)
    if not mine.still() or not (yield from ports.stacks.destroy(place)):
        return None  # another process may have the lock, or the market did not confirm it
    return Event.GONE, None, (answer.reason,)
