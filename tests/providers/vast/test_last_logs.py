"""What a machine that failed said is kept before it is given back, clean and bounded, and giving back never hangs on it."""

from typing import Any

import pytest

from bootstrap import errors as host_errors
from providers.engine_watch import EngineGone
from providers.ledger.event import Event, Outcome, parse_key
from providers.ledger.ledger import LOG_BYTES, CleanLedger
from providers.vast.api import errors
from providers.vast.create import bring_online
from providers.vast.limits import Limits
from providers.vast.redaction import Redaction
from providers.vast.renting.last_logs import SECONDS, last_logs
from providers.vast.renting.renter import Renter
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket, offer, raising
from tests.providers.vast.test_attempts import LABEL, ORDER, FakeBootstrap

NO_GPU = host_errors.PreflightFailed("gpu", "no GPU")
EVENT = Event(at=1.7e9, stack_id="abc", name="chat-0", attempt="a", step=3, outcome=Outcome.FAILED)


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


def online(market: FakeMarket, ledger: FakeLedger, *outcomes: BaseException | None) -> None:
    bring_online(Renter(market, market.clock, Limits()), ORDER, FakeBootstrap(*outcomes), lambda *_: None, ledger)


def test_both_logs_are_kept_before_the_machine_is_given_back(market: FakeMarket) -> None:
    ledger = FakeLedger()

    online(market, ledger, NO_GPU)

    failed = next(event for event in ledger.events if event.outcome is Outcome.FAILED)
    text = ledger.logs[failed.log_key]
    assert text.startswith(str(NO_GPU))
    assert f"the container of instance {failed.instance_id}\ngpu-fleet host key" in text
    assert f"instance {failed.instance_id}: no trouble" in text
    calls = [call for call, _ in market.calls]
    assert calls.index("last log") < calls.index("destroy")
    assert len(ledger.logs) == 1


@pytest.mark.parametrize(
    "trouble",
    [errors.OutcomeUnknown("logs", "502"), host_errors.TookTooLong("too long"), errors.CredentialsRefused("no key")],
)
def test_a_log_that_cannot_be_had_keeps_the_reason_and_gives_back(market: FakeMarket, trouble: Exception) -> None:
    ledger = FakeLedger()
    market.before["last log"] = [raising(trouble)] * 2

    online(market, ledger, NO_GPU)

    (text,) = ledger.logs.values()
    assert str(NO_GPU) in text
    assert "not to be had" in text
    assert ledger.outcomes[-1] == "served"
    assert len(market.rows) == 1


class Slow(FakeMarket):
    """A market that takes all the time of a log before it answers."""

    def passes(self) -> None:
        self.clock.sleep(SECONDS)


def test_asking_takes_seconds_at_most() -> None:
    market = Slow(FakeClock())
    number = market.add(LABEL, offer(1))

    last_logs(market, market.clock, number, NO_GPU)

    assert market.clock.now <= SECONDS
    assert [call for call, _ in market.calls] == ["last log"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1)])
def test_who_interrupts_while_a_log_is_read_leaves_nothing_rented(market: FakeMarket, end: BaseException) -> None:
    def interrupt(_asked: Any) -> None:
        raise end

    market.before["last log"] = [interrupt]

    with pytest.raises(type(end)):
        online(market, FakeLedger(), NO_GPU)

    assert market.rows == {}


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), EngineGone("gone"), errors.RentalFailed(7, "surplus", "another")]
)
def test_nothing_is_asked_where_the_machine_has_nothing_to_say(market: FakeMarket, error: BaseException) -> None:
    assert last_logs(market, market.clock, 7, error) == ""
    assert market.calls == []


@pytest.mark.parametrize("before", [0, LOG_BYTES - 5, 3 * LOG_BYTES])
def test_what_is_kept_is_clean_and_bounded(before: int) -> None:
    ledger, secret = FakeLedger(), "a-very-secret-token"
    text = "x" * before + secret + "é" * LOG_BYTES + f"\n{secret}\nend"

    CleanLedger(ledger, Redaction.of(secret).clean).keep(EVENT, text)

    kept = ledger.logs[EVENT.log_key]
    assert len(kept.encode()) <= LOG_BYTES
    assert kept.endswith("[secret]\nend")
    assert "secret-token" not in kept


def test_no_reader_of_events_takes_a_log_for_one() -> None:
    assert parse_key(EVENT.key) is not None
    assert parse_key(EVENT.log_key) is None
    assert not EVENT.log_key.endswith(".json")


def test_a_refusing_ledger_is_no_reason_to_keep_a_machine(market: FakeMarket) -> None:
    class Broken(FakeLedger):
        def keep(self, event: Event, text: str) -> None:
            raise ValueError("must never happen")

    with pytest.raises(Exception):  # noqa: B017, PT011 -- whatever it is
        online(market, Broken(), NO_GPU)

    assert market.rows == {}
