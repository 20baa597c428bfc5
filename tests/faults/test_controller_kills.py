"""`kill -9` of the controller at every seam, on real processes: the next one has everything right within two ticks.

A seam is a commit of a row or a claim, a lock, a command of a slot's stack and its end, an act on a gate, a call of the
market, or a renewal of a lease. What writes or acts is struck before and after it. Seams are found by a recording of one
slot's life, so that new code is covered by itself. Real are the controller (`python -m controller`), PostgreSQL, the market's
HTTP, SSH and the lease's TLS. Played are Pulumi's command and the host behind the login; `tests/engine/test_elastic.py` has
kills over the real engine. A make test strikes at 4 moments, the deep tier at all: at least 50.

Right means: each row is at rest, and row, stack and market agree. The claim is served by the one instance that was ever
rented for it, and its lease is renewed. In the end nothing is left.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from config.elastic import Elastic
from sandbox.services.postgres import Postgres
from tests.doubles.at_once import at_once
from tests.doubles.database import fresh_database
from tests.doubles.slot_world.lane import LEASE, WANTED, Lane
from tests.doubles.slot_world.world import FLEET, Shared, running_shared, slot_world
from tests.tiers import Tier

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]

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
