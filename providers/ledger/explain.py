"""Describe the attempts to bring an instance online, pure: events of the ledger in, lines of text out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from providers.ledger.event import Event, Outcome
from providers.ledger.instance_end import ends
from providers.ledger.machine_history import MachineHistory

LOGS, LINES, LINE_LETTERS = 10, 12, 200
DECISIONS = 40


def describe_attempts(
    name: str,
    events: Sequence[Event],
    records: Mapping[int, MachineHistory],
    now: float,
    log: Callable[[Event], str] = lambda _event: "",
) -> list[str]:
    """Return lines about one instance's attempts in the order of time, then about its machines. `now`: unix seconds.

    `log` returns the log of a failed attempt's machine. Its last LINES lines are shown for the newest LOGS attempts.
    """
    if not events:
        return [f"The ledger knows no attempt to bring {name} online."]
    ended = ends(events)
    decided = [event for event in events if event.outcome is Outcome.DECIDED]
    tries = [event for event in events if event.outcome not in (Outcome.ENDED, Outcome.DECIDED)]
    by_attempt = sorted(tries, key=lambda event: (event.attempt, event.step))
    attempts = [list(group) for _, group in groupby(by_attempt, key=lambda event: event.attempt)]
    attempts.sort(key=lambda attempt: attempt[0].at)
    spent = sum(_spent(attempt) for attempt in attempts if not _serves(attempt))
    count = f"{len(attempts)} attempt{'' if len(attempts) == 1 else 's'}"
    lines = [f"{name}: {count} in the ledger, ${spent:.4f} for those that did not serve"]
    last_of = {event.instance_id: attempt[0].attempt for attempt in attempts for event in attempt}
    for attempt in attempts:
        number = attempt[-1].instance_id
        end = ended.pop(number, None) if number and last_of[number] == attempt[0].attempt else None
        lines += ["", *_describe_attempt(attempt, log if attempt in attempts[-LOGS:] else lambda _event: "", end)]
    for end in ended.values():  # ends of instances whose attempts are older than the events that were read
        lines += ["", f"{_moment(end.at)}  {_describe_rental(end)}", _describe_end(end)]
    lines += _describe_decisions(decided[-DECISIONS:])
    machines = {event.machine_id for event in events if event.machine_id is not None}
    known = [line for machine in sorted(machines) if (line := _describe_machine(machine, records.get(machine), now))]
    return [*lines, "", *known] if known else lines


def _describe_attempt(attempt: list[Event], log: Callable[[Event], str], end: Event | None) -> list[str]:
    first, last = attempt[0], attempt[-1]
    lines = [f"{_moment(first.at)}  {_describe_rental(last)}"]
    passed = [f"{event.phase} {event.seconds:.1f} s" for event in attempt if event.outcome is Outcome.PASSED]
    if passed:
        lines.append(f"  passed   {', '.join(passed)}")
    for event in attempt:
        lines += [line for line in (_describe_outcome(event),) if line]
        if event.outcome is Outcome.FAILED:
            lines += [f"  log      {line}" for line in _tail(log(event))]
    if end:
        lines.append(_describe_end(end))
    elif last.outcome is Outcome.RENTING:
        lines.append(
            "  then     nothing: the renting process died or still runs; `gpu-fleet sweep` says whether it is rented"
        )
    elif last.outcome in {Outcome.RENTED, Outcome.ADOPTED, Outcome.PASSED}:
        step = last.phase or last.outcome.value
        lines.append(f"  then     nothing after {step}: the process that worked on it died or still runs")
    return lines


def _tail(text: str) -> list[str]:
    """Return a log's last lines, printable letters only: the landlord wrote it and could send terminal commands."""
    printable = ("".join(letter if letter.isprintable() else " " for letter in line) for line in text.splitlines())
    return [line.rstrip()[:LINE_LETTERS] for line in printable if line.strip()][-LINES:]


def _describe_rental(event: Event) -> str:
    adopted = [] if event.outcome is Outcome.ENDED else ["an instance that was there already"]
    parts = adopted if event.offer_id is None else [f"offer {event.offer_id}"]
    if event.machine_id is not None:
        landlord = f" of host {event.host_id}" if event.host_id is not None else ""
        parts.append(f"machine {event.machine_id}{landlord}")
    if event.instance_id is not None:
        parts.append(f"instance {event.instance_id}")
    if event.usd_per_hour is not None:
        parts.append(f"${event.usd_per_hour:.3f}/h")
    return ", ".join(parts)


def _describe_outcome(event: Event) -> str:
    if event.outcome is Outcome.TAKEN:
        return "  taken    another customer was faster; nothing was paid"
    if event.outcome is Outcome.SERVED:
        rate = f", {event.download_mbps:.0f} Mb/s" if event.download_mbps else ""
        return f"  served   after {event.seconds:.1f} s{rate}"
    if event.outcome is Outcome.FAILED:
        reason = event.reason.value if event.reason else "unknown"
        return f"  failed   after {event.seconds:.1f} s ({reason}): {' '.join(event.message.split())}"
    if event.outcome is Outcome.GIVEN_BACK:
        return f"  given back after {event.seconds:.1f} s, it cost ${event.usd:.4f}"
    if event.outcome is Outcome.STILL_RENTED:
        return f"  STILL RENTED, as far as is known: {' '.join(event.message.split())}"
    return ""


def _describe_decisions(decided: Sequence[Event]) -> list[str]:
    """Return a line for each decision of the controller, with its reasons behind it."""
    if not decided:
        return []
    lines = ["", "What the controller decided:"]
    for event in sorted(decided, key=lambda event: event.at):
        why = "; ".join(" ".join(reason.says.split()) for reason in event.reasons)
        lines.append(f"{_moment(event.at)}  {event.decision or 'decided'}{f': {why}' if why else ''}")
    return lines


def _describe_end(end: Event) -> str:
    hours, minutes = divmod(round(end.seconds / 60), 60)
    long = f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{end.seconds:.0f} s"
    return f"  ended    {_moment(end.at)}, rented for {long}, about ${end.usd:.4f}: {' '.join(end.message.split())}"


def _describe_machine(machine: int, record: MachineHistory | None, now: float) -> str:
    if record is None:
        return ""
    until = record.avoided_until
    verdict = f"avoided until {_moment(until)} ({record.last_reason})" if until and until > now else "not avoided"
    measured = [f"{record.download_mbps[-1]:.0f} Mb/s measured"] if record.download_mbps else []
    measured += [f"boots in {record.boot_seconds[-1]:.0f} s"] if record.boot_seconds else []
    facts = [f"served {record.served} x, failed {record.failed} x", *measured, verdict]
    return f"machine {machine}: {', '.join(facts)}"


def _serves(attempt: Iterable[Event]) -> bool:
    return any(event.outcome is Outcome.SERVED for event in attempt)


def _spent(attempt: Iterable[Event]) -> float:
    return max((event.usd for event in attempt), default=0.0)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
