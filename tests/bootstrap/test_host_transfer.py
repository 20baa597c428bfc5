"""Whose fault a download is: played by a host that ends the fetch script as it is told, and a store that is asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from bootstrap.clock import Until
from bootstrap.download import EXPIRED, NETWORK, NO_SPACE, REFUSED, TOO_SLOW
from bootstrap.errors import FetchFailed, PreflightFailed, StoreDown, WeightsMissing
from bootstrap.fetch import HostTransfer
from bootstrap.host import Result
from bootstrap.spec import EndpointSpec, Preflight
from tests.doubles.clock import FakeClock
from weights.manifest import File, Manifest

DIGEST = "0" * 64
MANIFEST = Manifest(name="small", files=(File(path="a", size=10, sha256=DIGEST, parts=(DIGEST,)),))
DONE = Result(0, json.dumps({"bytes": 10, "kept": 0, "seconds": 1.0}), "")
SLOW = Result(TOO_SLOW, "", "20.0 Mb/s after 15 s, 100.0 Mb/s are the least")
SILENT = Result(NETWORK, "", "a: TimeoutError, and no byte for 91 s")
SAID = Result(NETWORK, "", "a: the store answers 503 (SlowDown) for /x, and no byte for 91 s")


@dataclass
class Script:
    """A host on which the fetch script ends so, one after the other, the last for good; each run takes some seconds."""

    clock: FakeClock
    ends: list[Result]
    elsewhere: float | None = None
    seconds: float = 15.0
    runs: int = 0

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        if b"Measure this host's line" in stdin:
            return Result(0, json.dumps({"mbps": self.elsewhere}), "")
        self.clock.now += self.seconds
        self.runs += 1
        return self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]

    def put(self, data: bytes, path: str, mode: int) -> None: ...

    def close(self) -> None: ...


@dataclass
class Store:
    here: Callable[[], float | None] = lambda: 1000.0
    trouble: Callable[[], str] = lambda: ""

    def presign(self, sha256: str, _seconds: int) -> str:
        return f"http://store/{sha256}"

    def store_trouble(self) -> str:
        return self.trouble()

    def store_mbps(self, _sha256: str, _size: int) -> float | None:
        return self.here()


@dataclass
class Play:
    ends: list[Result]
    store: Store = field(default_factory=Store)
    elsewhere: float | None = None
    reference_url: str = ""
    deadline: float = 3600.0
    seconds: float = 15.0
    reported: list[str] = field(default_factory=list)
    advertised: float = 0.0
    mbps: float | None = None

    def run(self) -> "Play":
        clock = FakeClock()
        self.host = Script(clock, list(self.ends), self.elsewhere, self.seconds)
        spec = EndpointSpec(
            name="chat-0",
            model=MANIFEST,
            kit=MANIFEST,
            served_model="small",
            token="t" * 40,
            addresses=("1.2.3.4",),
            preflight=Preflight(gpu_names=("RTX 4090",), gpu_count=1, gpu_ram_mb=1, disk_gb=1, download_mbps=100),
            reference_url=self.reference_url,
            advertised_mbps=self.advertised,
        )
        until = Until(clock, self.deadline)
        self.mbps = HostTransfer(self.host, spec, MANIFEST, self.store, until, self.reported.append).to("/x").mbps
        return self


def test_a_slow_host_is_given_back_after_two_measurements():
    play = Play([SLOW])
    with pytest.raises(PreflightFailed, match="too slow") as caught:
        play.run()
    assert (caught.value.reason, caught.value.mbps, play.host.runs) == ("slow", 20.0, 2)


def test_a_host_that_was_slow_once_is_kept():
    assert Play([SLOW, DONE]).run().host.runs == 2


def test_a_store_that_is_slow_for_everybody_costs_no_machine():
    play = Play([*[SLOW] * 20, DONE], Store(here=lambda: 21.0)).run()
    assert play.host.runs == 21
    assert "the store may be why: this machine gets 21.0 Mb/s from the store, too; the host is kept" in play.reported[0]


def test_a_slow_store_that_outlasts_the_time_is_what_is_blamed():
    with pytest.raises(StoreDown, match=r"chat-0: .*the store was in the way: this machine gets 21\.0 Mb/s"):
        Play([SLOW], Store(here=lambda: 21.0)).run()


@pytest.mark.parametrize(("elsewhere", "kept"), [(500.0, True), (30.0, False)])
def test_what_the_host_gets_from_elsewhere_says_more_than_this_machine(elsewhere, kept):
    play = Play([SLOW, SLOW, SLOW, DONE], elsewhere=elsewhere, reference_url="https://files.example/x")
    if kept:
        assert "500.0 Mb/s from elsewhere" in play.run().reported[0]
    else:
        with pytest.raises(PreflightFailed):
            play.run()


def test_a_reference_that_gives_nothing_leaves_the_comparison():
    with pytest.raises(PreflightFailed):
        Play([SLOW], elsewhere=None, reference_url="https://files.example/x").run()


def test_a_store_in_trouble_is_waited_for():
    left = iter(["The store times out."] * 5)
    play = Play([*[SILENT] * 5, DONE], Store(trouble=lambda: next(left))).run()
    assert play.host.runs == 6


@pytest.mark.parametrize("end", [SILENT, SLOW])
def test_what_began_while_the_store_was_in_trouble_accuses_nobody(end):
    troubled = iter([True, False, False])
    store = Store(here=lambda: 21.0 if next(troubled) else 1000.0, trouble=lambda: "down" if next(troubled) else "")
    play = Play([end, end, end, DONE], store).run()
    assert "when it began, the store was in the way" in play.reported[1]
    assert "tried once more before the machine is given back" in play.reported[2]


@pytest.mark.parametrize("end", [SILENT, SLOW])
def test_trouble_of_the_store_takes_back_what_was_said_of_the_line_before(end):
    troubled = iter([False, True, False, False])
    store = Store(here=lambda: 21.0 if next(troubled) else 1000.0, trouble=lambda: "down" if next(troubled) else "")
    assert Play([end, end, end, end, DONE], store).run().host.runs == 5


def test_a_store_that_answers_the_host_with_errors_is_in_trouble_although_it_answers_here():
    assert Play([*[SAID] * 9, DONE]).run().host.runs == 10


def test_a_store_that_stays_down_is_said_after_a_quarter_of_an_hour():
    play = Play([SILENT], Store(trouble=lambda: "The store times out."))
    with pytest.raises(StoreDown, match=r"no byte for 91 s\. The store times out\.$"):
        play.run()
    assert 900 <= play.host.clock.now < 960


def after(count: int, end: Result, seconds: float = 30.0) -> Result:
    """The end of a fetch that got so many bytes before."""
    return replace(end, stdout=json.dumps({"bytes": count, "kept": 0, "seconds": seconds}))


MUCH, FEW = 10**9, 10**6


def test_two_short_blips_far_apart_are_no_long_outage():
    down = Store(trouble=lambda: "The store times out.")
    assert Play([SILENT, after(MUCH, SILENT), DONE], down, seconds=1000).run().host.runs == 3


@pytest.mark.parametrize("stdout", ["", "no JSON", "[]", '{"bytes": "many"}', json.dumps({"bytes": FEW})])
def test_a_store_that_gives_a_few_bytes_now_and_then_is_down(stdout):
    play = Play([replace(SILENT, stdout=stdout)], Store(trouble=lambda: "The store times out."))
    with pytest.raises(StoreDown):
        play.run()
    assert 900 <= play.host.clock.now < 960


@pytest.mark.parametrize("end", [SILENT, SLOW])
def test_a_line_that_did_well_in_between_is_accused_anew(end):
    assert Play([end, after(MUCH, end), DONE]).run().host.runs == 3


@pytest.mark.parametrize("end", [SILENT, SLOW])
def test_a_line_that_did_badly_in_between_is_accused_twice(end):
    play = Play([end, after(100 * FEW, end)])
    with pytest.raises((FetchFailed, PreflightFailed)):
        play.run()
    assert play.host.runs == 2


def test_what_came_before_its_urls_expired_counts():
    down = Store(trouble=lambda: "The store times out.")
    expired = Result(EXPIRED, json.dumps({"bytes": MUCH}), "the URL has expired")
    assert Play([SILENT, expired, SILENT, DONE], down, seconds=600).run().host.runs == 4


def test_a_line_that_is_dead_on_the_host_alone_is_the_hosts_after_two_tries():
    play = Play([SILENT])
    with pytest.raises(FetchFailed, match="no byte"):
        play.run()
    assert play.host.runs == 2


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (Result(REFUSED, "", "the store answers 403 (AccessDenied) for /x"), WeightsMissing),
        (Result(NO_SPACE, "", "2 MB are needed in /x, 1 MB are free"), PreflightFailed),
        (Result(3, "", "a, part 0: SHA-256 is 1..., 0... is in the manifest"), FetchFailed),
    ],
)
def test_what_is_nobodys_line_is_not_tried_again(end, error):
    play = Play([end])
    with pytest.raises(error):
        play.run()
    assert play.host.runs == 1


@pytest.mark.parametrize(
    ("advertised", "here", "kept"),
    [
        (0.0, 90.0, 80.0),  # nobody says what the line does
        (150.0, 90.0, 80.0),  # near enough to what is advertised
        (900.0, 500.0, 80.0),  # the store gives this machine far more
        (900.0, 90.0, None),
        (900.0, None, None),
    ],
)
def test_a_rate_that_the_store_may_have_slowed_down_is_not_the_lines(
    advertised: float, here: float | None, kept: float | None
) -> None:
    measured = Result(0, json.dumps({"bytes": 100_000_000, "kept": 0, "seconds": 10.0}), "")

    assert Play([measured], Store(here=lambda: here), advertised=advertised).run().mbps == kept


def test_what_came_through_a_store_that_was_blamed_measures_no_line() -> None:
    measured = Result(0, json.dumps({"bytes": 100_000_000, "kept": 0, "seconds": 10.0}), "")

    assert Play([SLOW, measured], Store(here=lambda: 21.0)).run().mbps is None
