"""A slot leaves only behind a gate seen closed, and quiet for half a second; who got in is waited for or brings it back."""

import pytest

from controller.leaving import Gate, GateLook, Leaving, Next, step
from controller.reasons import Rule

BUSY = Leaving(3600.0)
IDLE = Leaving(3600.0, strict=True, admitted="7")


def closed(at: float, in_flight: int | None = 0, admitted: str | None = "7") -> GateLook:
    return GateLook(at, Gate.CLOSED, in_flight, admitted)


def play(leaving: Leaving, *looks: GateLook) -> list[tuple[Next, Rule]]:
    told = []
    for look in looks:
        answer = step(leaving, look)
        leaving = answer.leaving
        told.append((answer.next, answer.reason.rule))
    return told


def test_an_idle_slot_ends_half_a_second_after_its_gate_was_seen_closed() -> None:
    looks = [GateLook(0.0, Gate.OPEN, 0, "7"), closed(0.1), closed(0.5), closed(0.6)]

    assert play(IDLE, *looks) == [
        (Next.CLOSE, Rule.GATE_OPEN),
        (Next.WAIT, Rule.SETTLING),
        (Next.WAIT, Rule.SETTLING),
        (Next.END, Rule.QUIET),
    ]


@pytest.mark.parametrize("got_in", [closed(0.5, in_flight=1), closed(0.5, admitted="8")])
def test_who_got_in_brings_an_idle_slot_back(got_in: GateLook) -> None:
    assert play(IDLE, closed(0.1), got_in)[-1] == (Next.REOPEN, Rule.SOMEBODY_GOT_IN)


def test_a_busy_slot_waits_for_its_requests_and_then_for_half_a_second_more() -> None:
    looks = [closed(1, 2), closed(900, 1, "8"), closed(1800, 0, "9"), closed(1800.4, 0, "9"), closed(1800.6, 0, "9")]

    assert [what for what, _why in play(BUSY, *looks)] == [Next.WAIT] * 4 + [Next.END]


def test_a_request_that_came_and_went_between_two_looks_starts_the_half_second_anew() -> None:
    looks = [closed(1), closed(2, admitted="8"), closed(2.4, admitted="8"), closed(2.6, admitted="8")]

    assert [what for what, _why in play(BUSY, *looks)] == [Next.WAIT, Next.WAIT, Next.WAIT, Next.END]


def test_a_gate_that_somebody_opened_starts_all_anew() -> None:
    looks = [closed(1), GateLook(1.5, Gate.OPEN, 0, "7"), closed(1.6), closed(2.0), closed(2.2)]

    assert [what for what, _why in play(BUSY, *looks)] == [Next.WAIT, Next.CLOSE, Next.WAIT, Next.WAIT, Next.END]


def test_waiting_ends_when_no_request_may_still_run() -> None:
    looks = [closed(10, 1), closed(3609, 1), closed(3610, 1)]

    assert play(BUSY, *looks)[1:] == [(Next.WAIT, Rule.BUSY), (Next.END, Rule.LONGEST_REQUEST)]


@pytest.mark.parametrize("look", [GateLook(5000, Gate.UNKNOWN), GateLook(5000, Gate.UNKNOWN, 0, "7")])
def test_a_silent_host_is_never_idle_while_a_person_may_open_its_gate(look: GateLook) -> None:
    assert play(BUSY, closed(1, 1), look)[-1] == (Next.WAIT, Rule.SILENT)


def test_a_gate_without_its_gauge_is_busy() -> None:
    assert play(BUSY, closed(1, None), closed(2, 0, None), closed(3, None))[-1] == (Next.WAIT, Rule.SILENT)


def test_under_the_lock_a_silent_host_ends_when_no_request_may_still_run() -> None:
    locked = Leaving(3600.0, locked=True)

    assert play(locked, closed(10, 1), GateLook(3609, Gate.UNKNOWN), GateLook(3610, Gate.UNKNOWN)) == [
        (Next.WAIT, Rule.BUSY),
        (Next.WAIT, Rule.SILENT),
        (Next.END, Rule.LONGEST_REQUEST),
    ]


def test_a_host_that_was_never_seen_closed_may_serve_and_stays_however_long_it_is_silent() -> None:
    assert play(Leaving(3600.0, locked=True), GateLook(1e6, Gate.UNKNOWN)) == [(Next.WAIT, Rule.SILENT)]


def test_a_dead_instance_ends_at_once_unless_its_host_answers_after_all() -> None:
    dead = Leaving(3600.0, locked=True, dead=True)

    assert play(dead, GateLook(1, Gate.UNKNOWN)) == [(Next.END, Rule.SILENT)]
    assert play(dead, closed(1, 1)) == [(Next.WAIT, Rule.BUSY)]
