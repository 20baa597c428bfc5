"""What `explain` says of attempts: each with its offer, what passed, why it ended, and what it cost."""

import pytest

from providers.ledger.event import Event, Outcome, Reason, parse, parse_key
from providers.ledger.explain import describe_attempts
from providers.ledger.machine_history import fold

AT = 1_700_000_000.0


def attempt(mark: str, at: float, *ends: Event | dict[str, object], machine: int = 7) -> list[Event]:
    """Events of one attempt, a second apart."""
    base = {"stack_id": "abc", "name": "chat-0", "attempt": mark, "offer_id": 3, "machine_id": machine, "host_id": 5}
    prices = {"usd_per_hour": 0.3}
    rows: list[dict[str, object]] = [{"outcome": Outcome.RENTING}, *[dict(end) for end in ends]]
    return [
        Event.model_validate({**base, **prices, "at": at + step, "step": step, "seconds": float(step), **row})
        for step, row in enumerate(rows)
    ]


RENTED = {"outcome": Outcome.RENTED, "instance_id": 501}
WAITED = {"outcome": Outcome.PASSED, "phase": "wait", "instance_id": 501, "boot_seconds": 31.0}
FAILED = {"outcome": Outcome.FAILED, "instance_id": 501, "reason": Reason.GPU, "message": "no GPU\nat all", "usd": 0.01}
BACK = {"outcome": Outcome.GIVEN_BACK, "instance_id": 501, "usd": 0.0125}
SERVED = {"outcome": Outcome.SERVED, "instance_id": 502, "download_mbps": 850.0, "usd": 0.02}


def described(events: list[Event], now: float = AT + 60) -> str:
    return "\n".join(describe_attempts("chat-0", events, fold(events), now))


def test_a_failed_and_a_served_attempt_are_told_in_the_order_of_time() -> None:
    text = described([*attempt("b", AT + 100, SERVED, machine=8), *attempt("a", AT, RENTED, WAITED, FAILED, BACK)])

    assert text.startswith("chat-0: 2 attempts in the ledger, $0.0125 for those that did not serve")
    assert text.index("machine 7 of host 5, instance 501, $0.300/h") < text.index("machine 8")
    assert "passed   wait 2.0 s" in text
    assert "failed   after 3.0 s (gpu): no GPU at all" in text
    assert "given back after 4.0 s, it cost $0.0125" in text
    assert "served   after 1.0 s, 850 Mb/s" in text


def test_what_is_thought_of_each_machine_follows() -> None:
    text = described(attempt("a", AT, RENTED, WAITED, FAILED, BACK))

    assert "machine 7: served 0 x, failed 1 x, avoided until 2023-11-14 23:13:23 UTC (gpu)" in text
    assert "avoided until" not in described(attempt("a", AT, RENTED, WAITED, FAILED, BACK), now=AT + 1e7)


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (attempt("a", AT), "the renting process died or still runs"),
        (attempt("a", AT, RENTED, WAITED), "nothing after wait"),
        (attempt("a", AT, {"outcome": Outcome.TAKEN}), "nothing was paid"),
        (attempt("a", AT, RENTED, FAILED, {"outcome": Outcome.STILL_RENTED, "message": "END IT"}), "STILL RENTED"),
    ],
)
def test_an_attempt_without_its_end_says_so(events: list[Event], says: str) -> None:
    assert says in described(events)


def test_nothing_known_is_said() -> None:
    assert describe_attempts("chat-0", [], {}, AT) == ["The ledger knows no attempt to bring chat-0 online."]


def test_the_end_of_a_failed_machines_log_is_shown_as_it_may_be_printed() -> None:
    events = [*attempt("a", AT, RENTED, FAILED, BACK), *attempt("b", AT + 100, SERVED, machine=8)]
    logs = {events[2].log_key: "first\n" + "line\n" * 50 + "\x1b[31mred\x07 \u202eevil\n" + "y" * 999}

    lines = describe_attempts("chat-0", events, fold(events), AT + 200, lambda event: logs.get(event.log_key, ""))

    shown = [line.removeprefix("  log      ") for line in lines if line.startswith("  log ")]
    assert len(shown) == 12
    assert shown[-2] == " [31mred   evil"
    assert shown[-1] == "y" * 200
    assert all(letter.isprintable() for line in lines for letter in line)


def test_what_the_controller_decided_follows_with_its_reasons() -> None:
    reasons = [
        {"rule": "start", "says": "1 are missing"},
        {"rule": "claims", "says": "claims\nask for 1", "facts": {"n": 1}},
    ]
    row = {"stack_id": "abc", "name": "chat-0", "attempt": "5", "step": 1, "outcome": Outcome.DECIDED, "at": AT}
    decided = Event.model_validate({**row, "decision": "rent", "reasons": reasons})

    text = described([decided, *attempt("a", AT + 1, RENTED, SERVED)])

    assert text.startswith("chat-0: 1 attempt in the ledger")
    assert "2023-11-14 22:13:20 UTC  rent: 1 are missing; claims ask for 1" in text
    assert parse(decided.model_dump_json()) == decided
    assert parse_key(decided.key) is not None
