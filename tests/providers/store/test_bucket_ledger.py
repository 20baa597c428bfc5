"""The ledger in a bucket: what is written comes back, nothing raises, and what a store missed is sent on."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.ledger.bucket_ledger import DAYS, PAUSE_SECONDS, BucketLedger, open_ledger
from providers.ledger.bucket_objects import PREFIX
from providers.ledger.event import Event, Outcome, Reason
from providers.ledger.folder_ledger import FolderLedger, ledger_home
from providers.ledger.ledger import CleanLedger
from providers.ledger.machine_history import fold
from providers.store.client import Keys
from tests.doubles.clock import FakeClock

DAY = 86_400.0
ENDS = st.sampled_from([(Outcome.SERVED, None), (Outcome.FAILED, Reason.SLOW), (Outcome.FAILED, Reason.OURS)])


def event(at: float, outcome: Outcome = Outcome.SERVED, name: str = "chat-0", step: int = 1, **known: Any) -> Event:
    fields = {"machine_id": 7, "attempt": "abc", **known}
    return Event(at=at, stack_id="stack", name=name, step=step, outcome=outcome, **fields)


class Shelf:
    """A bucket in memory with the calls that the ledger makes; `broken` is what each of them raises, `page` the most keys
    of an answer.
    """

    meta = SimpleNamespace(endpoint_url="http://shelf")
    page = 1000

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken: Exception | None = None
        self.calls = 0

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self._called()
        self.objects[Key] = Body

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self._called()
        if Key not in self.objects:
            raise ClientError(
                {"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "GetObject"
            )
        body = self.objects[Key]
        return {"Body": type("Body", (), {"read": staticmethod(lambda most=None: body[:most])})}

    def list_objects_v2(self, *, Prefix: str, StartAfter: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        self._called()
        found = [key for key in sorted(self.objects) if key.startswith(Prefix) and key > StartAfter]
        return {"Contents": [{"Key": key} for key in found[: self.page]], "IsTruncated": len(found) > self.page}

    def get_paginator(self, _name: str) -> Any:
        def paginate(*, StartAfter: str = "", **place: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
            while True:
                answer = self.list_objects_v2(StartAfter=StartAfter, **place)
                yield answer
                if not answer["IsTruncated"]:
                    return
                StartAfter = answer["Contents"][-1]["Key"]  # noqa: N806

        return type("Paginator", (), {"paginate": staticmethod(paginate)})

    def _called(self) -> None:
        self.calls += 1
        if self.broken:
            raise self.broken


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def ledger(shelf: Shelf, clock: FakeClock, tmp_path: Path) -> BucketLedger:
    return BucketLedger(lambda: shelf, "bucket", tmp_path / "waiting", clock)


def waiting(tmp_path: Path) -> list[Event]:
    return FolderLedger(tmp_path / "waiting").events()


def test_an_event_is_an_object_under_its_key_and_nothing_waits(
    ledger: BucketLedger, shelf: Shelf, clock: FakeClock, tmp_path: Path
) -> None:
    written = event(clock.time())

    ledger.append(written)

    assert list(shelf.objects) == [PREFIX + written.key]
    assert waiting(tmp_path) == []
    assert ledger.machine_histories()[7].served == 1


@pytest.mark.parametrize(
    "broken",
    [
        EndpointConnectionError(endpoint_url="http://nowhere"),
        ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "PutObject"),
    ],
)
def test_a_store_that_fails_is_left_alone_for_a_while_and_gets_what_it_missed(
    ledger: BucketLedger, shelf: Shelf, clock: FakeClock, tmp_path: Path, broken: Exception
) -> None:
    shelf.broken = broken
    for step in range(5):
        ledger.append(event(clock.time(), step=step))
    assert shelf.calls == 1
    assert len(waiting(tmp_path)) == 5
    assert ledger.machine_histories()[7].served == 5, "what waits here is known all the same"

    shelf.broken = None
    clock.sleep(PAUSE_SECONDS)
    ledger.append(event(clock.time(), step=5))

    assert len(shelf.objects) == 6
    assert waiting(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_keeps_no_event_from_the_bucket(shelf: Shelf, clock: FakeClock) -> None:
    BucketLedger(lambda: shelf, "bucket", Path("/proc/nowhere"), clock).append(event(clock.time()))

    assert len(shelf.objects) == 1


def test_only_the_ends_of_attempts_are_read_and_once_a_minute(
    ledger: BucketLedger, shelf: Shelf, clock: FakeClock
) -> None:
    for step in range(10):
        ledger.append(event(clock.time(), Outcome.PASSED, step=step, phase="wait"))
    ledger.append(event(clock.time(), step=11))
    before = shelf.calls

    ledger.machine_histories()
    assert shelf.calls - before == 2  # a list and one event
    ledger.machine_histories()
    assert shelf.calls - before == 2
    clock.sleep(61)
    ledger.machine_histories()
    assert shelf.calls - before == 2 * 2


def test_what_is_damaged_or_strange_costs_nothing_else(ledger: BucketLedger, shelf: Shelf, clock: FakeClock) -> None:
    good, bad = event(clock.time()), event(clock.time(), step=2)
    ledger.append(good)
    shelf.objects[PREFIX + bad.key] = b"{"
    shelf.objects[f"{PREFIX}{good.key[:10]}/readme.txt"] = b"hello"

    assert ledger.machine_histories()[7].served == 1
    assert ledger.events() == [good]


def test_the_events_of_one_instance_come_in_the_order_of_time(ledger: BucketLedger, clock: FakeClock) -> None:
    first = event(clock.time(), Outcome.RENTING)
    other = event(clock.time() + 1, name="chat-1")
    last = event(clock.time() + 2, Outcome.FAILED, step=3, reason=Reason.SLOW)
    for one in (last, other, first):
        ledger.append(one)

    assert ledger.events("stack", "chat-0") == [first, last]
    assert ledger.events("another", "chat-0") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, (DAYS - 1) * 86_400), ENDS, st.integers(1, 3)), max_size=15, unique_by=lambda e: e[0]
    )
)
def test_what_is_read_adds_up_to_what_was_written(
    tmp_path: Path, history: list[tuple[int, tuple[Outcome, Reason | None], int]]
) -> None:
    clock, shelf = FakeClock(), Shelf()
    ledger = BucketLedger(lambda: shelf, "bucket", tmp_path / "waiting", clock)
    events = [
        event(clock.time() - ago, outcome, reason=reason, machine_id=machine)
        for ago, (outcome, reason), machine in history
    ]

    for one in events:
        ledger.append(one)

    assert ledger.machine_histories() == fold(events)


def test_older_days_are_not_asked_for(ledger: BucketLedger, clock: FakeClock) -> None:
    ledger.append(event(clock.time() - (DAYS + 1) * DAY))

    assert ledger.machine_histories() == {}


@pytest.mark.parametrize(("page", "lists"), [(1000, 1), (4, DAYS + 2)])
def test_few_events_are_listed_at_once_and_many_day_by_day(
    ledger: BucketLedger, shelf: Shelf, clock: FakeClock, page: int, lists: int
) -> None:
    ends = [event(clock.time() - back * DAY) for back in range(6)]
    for each in ends:
        ledger.append(each)
    shelf.page, before = page, shelf.calls

    assert [each.key for each in ledger.events()] == sorted(each.key for each in ends)
    assert shelf.calls - before == lists + len(ends)


def test_messages_are_cleaned(ledger: BucketLedger, clock: FakeClock) -> None:
    clean: Callable[[str], str] = lambda text: text.replace("hunter22", "[secret]")  # noqa: E731

    CleanLedger(ledger, clean).append(event(clock.time(), message="it said hunter22"))

    assert ledger.events()[0].message == "it said [secret]"


def test_without_keys_of_a_store_it_lies_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: FakeClock
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    kept = open_ledger("http://127.0.0.1:1", "region", "bucket", Keys("", ""), clock)
    kept.append(event(clock.time()))

    assert kept.machine_histories()[7].served == 1
    assert [file.suffix for file in (tmp_path / "gpu-fleet" / "ledger" / "bucket").rglob("*") if file.is_file()] == [
        ".json"
    ]
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": "relative"}
    assert ledger_home(home, "b") == tmp_path / ".local" / "state" / "gpu-fleet" / "ledger" / "b"


@pytest.mark.service
def test_a_real_store_keeps_it(s3: Any, store: Any, name: str, keys: Keys, tmp_path: Path) -> None:
    s3.create_bucket(Bucket=name)
    clock = FakeClock()
    clock.now = datetime.now(UTC).timestamp()
    written = [event(clock.time() + step, step=step) for step in range(3)]
    ledger = BucketLedger(lambda: s3, name, tmp_path, clock)

    for one in written:
        ledger.append(one)

    assert ledger.events() == written
    assert ledger.machine_histories()[7].served == 3


def test_fresh_events_are_those_of_one_stack_and_of_the_asked_outcomes_from_a_day_on(tmp_path: Path) -> None:
    clock, shelf = FakeClock(), Shelf()
    ledger = BucketLedger(lambda: shelf, "bucket", tmp_path, clock)
    now = clock.time()
    for step, (at, outcome) in enumerate(
        [(now - 3 * DAY, Outcome.RENTED), (now, Outcome.RENTED), (now, Outcome.PASSED), (now + 1, Outcome.SERVED)]
    ):
        ledger.append(event(at, outcome, step=step))
    shelf.broken = EndpointConnectionError(endpoint_url="http://shelf")
    ledger.append(event(now + 2, Outcome.ENDED, step=9))  # waits in the folder
    shelf.broken = None
    since, wanted = (
        f"{datetime.fromtimestamp(now - DAY, UTC):%Y-%m-%d}",
        {Outcome.RENTED, Outcome.SERVED, Outcome.ENDED},
    )

    found = ledger.fresh("stack", since, wanted)

    assert [one.outcome for one in found] == [Outcome.RENTED, Outcome.SERVED, Outcome.ENDED]
    assert ledger.fresh("stack", since, wanted, {one.key for one in found}) == []
    assert ledger.fresh("other", since, wanted) == []
