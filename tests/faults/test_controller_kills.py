"""`kill -9` of the controller at every seam, on real processes: the next one has everything right within two ticks.

A seam is a commit of a row or a claim, a lock, a command of a slot's stack and its end, an act on a gate, a call of the
market, or a renewal of a lease. What writes or acts is struck before and after it. Seams are found by a recording of one
slot's life, so that new code is covered by itself. Real are the controller (`python -m controller`), PostgreSQL, the market's
HTTP, SSH and the lease's TLS. Played are Pulumi's command and the host behind the login; `tests/engine/test_elastic.py` has
kills over the real engine. A make test strikes at 4 moments, the deep tier at all: at least 50.

Right means: each row is at rest, and row, stack and market agree. The claim is served by the one instance that was ever
rented for it, and its lease is renewed. In the end nothing is left.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from config.elastic import Elastic
from controller.loop.tick import TICK_SECONDS
from sandbox.services.postgres import Postgres
from tests.doubles.at_once import at_once
from tests.doubles.cloud import REPO
from tests.doubles.controller_process import ControllerProcess
from tests.doubles.database import fresh_database
from tests.doubles.slot_world.world import FLEET, Shared, SlotWorld, running_shared, slot_world
from tests.tiers import Tier

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]

SEAMS = REPO / "tests" / "doubles" / "controller_seams"
LEASE = "http POST /lease"
ASKED_AGAIN = (
    "http GET",
    "gate look",
    "pulumi stack output",
    "ended pulumi stack output",
    "commit insert into gpu_fleet.audit",
)
ACTS = ("commit", "pulumi up", "pulumi destroy", "pulumi stack", "gate close", LEASE)  # struck before and after
LANES = 2
PARTS, SHORT, DEEP = 4, 4, 50
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 90.0
START_SECONDS = 30.0  # in which a seam of the start comes, on a loaded machine
RENEWED_SECONDS = 90.0  # its rounds are a minute apart
WANTED = {"model": "llama-3.1-8b", "gpu_type": "rtx4090"}
BOUNDS = Elastic.model_validate({"max": 2, "downSeconds": 0, "idleSeconds": 0})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with running_shared(tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.remove()


@dataclass
class Lane:
    """One world whose slot lives again and again, each time from a claim to nothing; its controller is killed on the way."""

    world: SlotWorld
    one: ControllerProcess = field(init=False)
    lives: int = 0
    kills: int = 0
    missed: list[str] = field(default_factory=list)  # strikes that did not come
    slowest: float = 0.0  # seconds from the next controller's first answer until all was right

    def __post_init__(self) -> None:
        self.notes, self.arming = self.world.folder / "seams", self.world.folder / "arm"
        self.one = self.world.process()
        self.one.env = {**self.one.env, "SEAMS_FILE": str(self.notes), "SEAMS_ARM": str(self.arming)}
        self.one.before = [SEAMS]

    def begin(self) -> None:
        """Start a controller, and wait until it answers."""
        self.one.start()
        self.one.until(self.one.is_ready)

    def live(self, strike: str = "") -> bool:
        """Claim, wait until it serves and its lease is renewed, give back, wait for the end. Return whether it was struck."""
        self.lives += 1
        kills, rents, renewals = (
            self.kills,
            len(self.world.shared.contracts(self.world.label(0))),
            self.world.renewals(0),
        )
        self.arming.write_text(strike)
        claim = self.until(self._claimed)
        assert self.until(self._claimed) == claim
        self.until(lambda: self._shown(claim)["status"] == "ready")
        self.until(lambda: not self.world.disagreements())
        if not strike or LEASE in strike:
            self.until(lambda: self.world.renewals(0) > renewals, RENEWED_SECONDS)
        assert len(self.world.shared.contracts(self.world.label(0))) == rents + 1
        self.until(lambda: self._call("DELETE", f"/provision/{claim}").status_code == 200)
        self.until(lambda: not (self.world.rows() or self.world.rented() or self.world.stacks()))
        assert self.world.locks() == []
        assert len(self.world.shared.contracts(self.world.label(0))) == rents + 1
        assert self.world.shared.contracts(self.world.label(1)) == []
        return self.kills > kills

    def start_struck(self, strike: str) -> bool:
        """Kill the first controller of this world at a seam of its start. Return whether it was struck."""
        self.arming.write_text(strike)
        self.one.start()
        began = time.monotonic()
        while not self.one.ended and time.monotonic() < began + START_SECONDS:
            time.sleep(LOOK_SECONDS)
        if not self.one.ended:
            return False
        self._next_one()
        return True

    def until(self, found: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait until something is found, and return it. A controller that was killed meanwhile is started again."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if value := found():
                    return value
            except httpx.TransportError:
                pass
            if self.one.ended:
                self._next_one()
                deadline = time.monotonic() + seconds
            assert time.monotonic() < deadline, f"{self}\n{self.world.disagreements()}\n{self.one.said()[-4000:]}"
            time.sleep(LOOK_SECONDS)

    def _next_one(self) -> None:
        """Start another controller, and see everything right within two ticks."""
        struck = self.notes.read_text().endswith("struck\n")
        assert struck, f"the controller ended by itself:\n{self.one.said()[-4000:]}"
        strike = self.arming.read_text()
        self.arming.write_text("")
        self.kills += 1
        self.begin()
        began = time.monotonic()
        while wrong := self.world.disagreements():
            seconds = time.monotonic() - began
            assert seconds < 2 * TICK_SECONDS, f"{strike}: {wrong}\n{self.one.said()[-6000:]}"
            self.slowest = max(self.slowest, seconds)
            time.sleep(LOOK_SECONDS)

    def _claimed(self) -> str:
        answer = self._call("POST", "/provision", {"Idempotency-Key": f"life-{self.lives}"}, json=WANTED)
        return str(answer.json()["id"]) if answer.status_code == 202 else ""

    def _shown(self, claim: str) -> Any:
        return self._call("GET", f"/provision/{claim}").json()

    def _call(self, method: str, path: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        url = f"http://127.0.0.1:{self.one.port}{path}"
        named = {"X-API-Key": self.world.key, **(headers or {})}
        return httpx.request(method, url, headers=named, trust_env=False, timeout=30, **body)


def moments(seams: list[str]) -> list[str]:
    """Where to strike: at each write, lock and act, and the first time at what is asked again and again."""
    counts: Counter[str] = Counter()
    found = []
    for name in seams:
        counts[name] += 1
        if counts[name] == 1 or not name.startswith(ASKED_AGAIN):
            found.append(f"{counts[name]}:{name}")
    return found


@dataclass(frozen=True)
class Recorded:
    """The seams of a controller's start, and those of one slot's life."""

    start: list[str]
    life: list[str]

    def strikes(self) -> list[tuple[bool, str]]:
        """Return all kills as (at the start, what to arm): at each seam, and at what writes or acts before it, too."""
        found = []
        for starts, seams in ((True, self.start), (False, self.life)):
            for seam in seams:
                acts = seam.partition(":")[2].startswith(ACTS)
                found += [(starts, f"{seam} {when}") for when in ("before", "after") if acts or when == "after"]
        return found


@pytest.fixture(scope="module")
def recorded(shared: Shared, postgres: Postgres) -> Recorded:
    """The moments of one start and one life."""
    with fresh_database(postgres) as dsn:
        lane = Lane(slot_world(shared, dsn, BOUNDS))
        try:
            lane.begin()
            start = moments(lane.notes.read_text().splitlines())
            lane.notes.write_text("")
            lane.live()
            return Recorded(start, moments(lane.notes.read_text().splitlines()))
        finally:
            lane.one.kill()


def struck(shared: Shared, postgres: Postgres, chosen: list[tuple[bool, str]]) -> list[Lane]:
    """Play a start or a life for each strike, in a few lanes."""

    def play(mine: list[str], starts: bool) -> Lane:
        with fresh_database(postgres) as dsn:
            lane = Lane(slot_world(shared, dsn, BOUNDS))
            try:
                if not starts:
                    lane.begin()
                lane.missed = [strike for strike in mine if not (lane.start_struck if starts else lane.live)(strike)]
            finally:
                lane.one.kill()
            return lane

    in_lives = [strike for starts, strike in chosen if not starts]
    shares = [([strike], True) for starts, strike in chosen if starts]
    shares += [(share, False) for lane in range(LANES) if (share := in_lives[lane::LANES])]
    with ThreadPoolExecutor(LANES) as pool:
        return list(pool.map(lambda share: play(*share), shares))


def test_the_seams_of_all_rooms_are_found(recorded: Recorded) -> None:
    names = "\n".join([*recorded.start, *recorded.life])
    for part in (
        "commit insert into gpu_fleet.claims",
        "commit update gpu_fleet.slots",
        "lock pg_try_advisory_lock",
        "pulumi stack init",
        "pulumi up",
        "ended pulumi up",
        "pulumi destroy",
        "pulumi stack rm",
        "gate close",
        "http GET /api/vN/instances/",
        LEASE,
    ):
        assert part in names


@pytest.mark.rotating(of=PARTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_controller_that_was_killed_at_a_seam_is_followed_by_one_that_sets_right(
    shared: Shared, postgres: Postgres, recorded: Recorded, tier: Tier, part: int
) -> None:
    every = recorded.strikes()
    assert len(every) >= DEEP
    mine = every[part::PARTS]
    chosen = mine if tier.deep else tier.slice(mine, len(mine) // SHORT)[:SHORT]

    lanes = struck(shared, postgres, chosen)

    kills, slowest = sum(lane.kills for lane in lanes), max(lane.slowest for lane in lanes)
    missed = [strike for lane in lanes for strike in lane.missed]
    print(
        f"\n{kills} kills of {len(every)} in all parts; all was right after {slowest:.1f} s at most; missed: {missed}"
    )
    # What runs beside a life, such as a look at the main stack, may not come in each.
    assert kills >= (DEEP / PARTS if tier.deep else SHORT / 2)


def test_the_same_key_from_a_hundred_callers_of_two_controllers_is_one_instance(
    shared: Shared, postgres: Postgres
) -> None:
    with fresh_database(postgres) as dsn:
        world = slot_world(shared, dsn, BOUNDS)
        both = [world.process("one"), world.process("other")]
        try:
            for process in both:
                process.start()
            for process in both:
                process.until(process.is_ready)

            def asked(number: int) -> httpx.Response:
                url = f"http://127.0.0.1:{both[number % 2].port}/provision"
                headers = {"X-API-Key": world.key, "Idempotency-Key": "build-17"}
                return httpx.post(url, headers=headers, json=WANTED, trust_env=False, timeout=60)

            answers = at_once(100, asked)
            assert {answer.status_code for answer in answers} == {202}
            [claim] = {answer.json()["id"] for answer in answers}
            both[1].until(lambda: both[1].call("GET", f"/provision/{claim}").json()["status"] == "ready")
            [fleet] = both[0].call("GET", "/fleets").json()
            assert fleet["name"] == FLEET
            assert list(world.rented()) == [0]
            assert len(world.shared.contracts(world.label(0))) == 1
            assert world.shared.contracts(world.label(1)) == []
        finally:
            for process in both:
                process.kill()
