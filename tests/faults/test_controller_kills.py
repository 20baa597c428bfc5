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
ASKED_AGAIN = (
    "http GET",
    "gate look",
    "pulumi stack output",
    "ended pulumi stack output",
    "commit insert into gpu_fleet.audit",
)
ACTS = ("commit", "pulumi up", "pulumi destroy", "pulumi stack", "gate close", "http POST")  # struck before and after
LANES = 2
PARTS, SHORT, DEEP = 4, 4, 50
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 90.0
RENEWED_SECONDS = 40.0  # by one that has just begun to lead, whose rounds are a minute apart
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
class Life:
    """One slot's life from a claim to nothing, under a controller that is killed on its way and started again."""

    world: SlotWorld
    moment: str = ""
    when: str = "before"
    one: ControllerProcess = field(init=False)
    killed: bool = False
    seconds: float = 0.0  # from the next controller's first answer until all was right

    def __post_init__(self) -> None:
        self.one = self.world.process()
        self.notes = self.world.folder / "seams"
        seams = {"SEAMS_FILE": str(self.notes), "SEAMS_KILL_AT": self.moment, "SEAMS_MOMENT": self.when}
        self.one.env = {**self.one.env, **seams}
        self.one.before = [SEAMS]

    def play(self) -> None:
        """Claim, wait until it serves and its lease is renewed, give back, wait for the end."""
        self.one.start()
        try:
            claim = self.until(self._claimed)
            assert self.until(self._claimed) == claim
            self.until(lambda: self._shown(claim)["status"] == "ready")
            self.until(lambda: self.world.renewals(0) > 0, RENEWED_SECONDS)
            self.until(lambda: not self.world.disagreements())
            assert len(self.world.shared.contracts(self.world.label(0))) == 1
            self.until(lambda: self._call("DELETE", f"/provision/{claim}").status_code == 200)
            self.until(lambda: not (self.world.rows() or self.world.rented() or self.world.stacks()))
            assert self.world.locks() == []
            assert len(self.world.shared.contracts(self.world.label(0))) == 1
            assert self.world.shared.contracts(self.world.label(1)) == []
        finally:
            self.one.kill()

    def until(self, found: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait until something is found, and return it. A controller that was killed meanwhile is started again."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if value := found():
                    return value
            except httpx.TransportError:
                pass
            if not self.killed and self.one.ended:
                assert self.struck, f"the controller ended by itself:\n{self.one.said()[-4000:]}"
                self.killed = True
                self._next_one()
                deadline = time.monotonic() + seconds
            assert time.monotonic() < deadline, f"{self}\n{self.world.disagreements()}\n{self.one.said()[-4000:]}"
            time.sleep(LOOK_SECONDS)

    @property
    def struck(self) -> bool:
        return self.notes.exists() and self.notes.read_text().endswith("struck\n")

    def _next_one(self) -> None:
        """Start another controller, and see everything right within two ticks."""
        self.one.env, self.one.before = self.world.environment, []
        self.one.start()
        self.one.until(self.one.is_ready)
        began = time.monotonic()
        while wrong := self.world.disagreements():
            self.seconds = time.monotonic() - began
            assert self.seconds < 2 * TICK_SECONDS, f"{self}: {wrong}\n{self.one.said()[-6000:]}"
            time.sleep(LOOK_SECONDS)

    def _claimed(self) -> str:
        answer = self._call("POST", "/provision", {"Idempotency-Key": "the-one"}, json=WANTED)
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


@pytest.fixture(scope="module")
def recorded(shared: Shared, postgres: Postgres) -> list[str]:
    """The moments of one life."""
    with fresh_database(postgres) as dsn:
        life = Life(slot_world(shared, dsn, BOUNDS))
        life.play()
        return moments(life.notes.read_text().splitlines())


def struck_lives(shared: Shared, postgres: Postgres, chosen: list[tuple[str, str]]) -> list[Life]:
    """Play a life for each (seam, before or after), a few at once."""

    def one(strike: tuple[str, str]) -> Life:
        with fresh_database(postgres) as dsn:
            life = Life(slot_world(shared, dsn, BOUNDS), *strike)
            life.play()
            return life

    with ThreadPoolExecutor(LANES) as pool:
        return list(pool.map(one, chosen))


def test_the_seams_of_all_rooms_are_found(recorded: list[str]) -> None:
    names = "\n".join(recorded)
    print(names)
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
        "http POST /lease",
    ):
        assert part in names


def strikes(recorded: list[str]) -> list[tuple[str, str]]:
    """Return all kills: at each seam, and at what writes or acts before it and after it."""
    found = []
    for seam in recorded:
        acts = seam.partition(":")[2].startswith(ACTS)
        found += [(seam, when) for when in ("before", "after") if acts or when == "after"]
    return found


@pytest.mark.rotating(of=PARTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_controller_that_was_killed_at_a_seam_is_followed_by_one_that_sets_right(
    shared: Shared, postgres: Postgres, recorded: list[str], tier: Tier, part: int
) -> None:
    every = strikes(recorded)
    assert len(every) >= DEEP
    mine = every[part::PARTS]
    chosen = mine if tier.deep else tier.slice(mine, len(mine) // SHORT)[:SHORT]

    lives = struck_lives(shared, postgres, chosen)

    struck = [life for life in lives if life.killed]
    slowest = max(life.seconds for life in struck)
    print(f"\n{len(struck)} kills of {len(every)} in all parts; right after {slowest:.1f} s at most")
    # Others do as much at other moments of each life, so a late seam of a recording may not come again.
    assert len(struck) >= len(chosen) * 0.75, [life.moment for life in lives if not life.killed]


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
