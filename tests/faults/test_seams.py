"""`kill -9` at every seam of create, update and delete: of the provider process, and of the engine that it works for.

A seam is a call that leaves the process. They are found by recording one run of each operation, so that code that is new
is covered by itself. In the end nothing is rented that is not known, and never two for one name. An ordinary run strikes
some seams, which ones follows from the commit; `make test-deep` and `make soak` strike both victims at each.
"""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from providers.vast.resource import VastInstanceProvider
from tests.doubles.cloud import ACCOUNT, REPO, Cloud
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from tests.doubles.fleet_stack import PATIENT
from tests.tiers import Tier

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

SEAMS = REPO / "tests" / "doubles" / "seams"
PATIENCE = 250  # seconds, for a machine under load
VICTIMS, MOMENTS = ("self", "engine"), ("before", "after")
ONE_OF = 12  # seams that are struck for a commit
CHUNKS = 6  # a test each, so that workers share them
# How often a create asks for these depends on how fast its host comes up: for logs until they hold the host key.
ASKED_AGAIN = (
    "http GET",
    "http POST",
    "http PUT /api/vN/instances/request_logs",
    "store List",
    "store Get",
    "store Put",
    "ssh connect",
)
LISTENER = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"


class Killable:
    """A provider process whose seams are recorded, and a stand-in of its engine that can be killed by itself."""

    def __init__(self, notes: Path, kill_at: str = "", victim: str = "self", moment: str = "before") -> None:
        notes.unlink(missing_ok=True)
        self.notes = notes
        self.engine = subprocess.Popen(
            [sys.executable, "-c", LISTENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.engine.stdout is not None
        self.process = DynamicProcess(
            VastInstanceProvider(),
            engine=f"127.0.0.1:{self.engine.stdout.readline().strip()}",
            environment={
                "PYTHONPATH": str(SEAMS),
                "SEAMS_FILE": str(notes),
                "SEAMS_KILL_AT": kill_at,
                "SEAMS_VICTIM": str(self.engine.pid) if victim == "engine" else victim,
                "SEAMS_MOMENT": moment,
            },
            timeout=PATIENCE,
        )
        self.process.configure(ACCOUNT)

    def __enter__(self) -> "Killable":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()
        self.engine.kill()
        self.engine.communicate()

    @property
    def seams(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def dies(self) -> bool:
        """Wait for the end of a process whose engine has gone."""
        self.process.process.wait(timeout=PATIENCE)
        return True


def moments(seams: list[str]) -> list[str]:
    """Where to strike: at each step on a host and each write, and the first time at what is asked again and again."""
    counts: Counter[str] = Counter()
    found = []
    for name in seams:
        counts[name] += 1
        if counts[name] == 1 or not name.startswith(ASKED_AGAIN):
            found.append(f"{counts[name]}:{name}")
    return found


@pytest.fixture(scope="session")
def recorded(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The moments of each operation."""
    notes = tmp_path_factory.mktemp("seams") / "recorded"
    found: dict[str, list[str]] = {}
    shared_cloud.forget_answers()
    with Killable(notes) as one:
        id_, outs = one.process.create(wanted(shared_cloud))
        found["create"] = moments(one.seams)
        notes.unlink()
        outs = one.process.update(id_, outs, other(shared_cloud, 1))
        found["update"] = moments(one.seams)
        notes.unlink()
        one.process.delete(id_, outs)
        found["delete"] = moments(one.seams)
    return found


@pytest.fixture
def rescuer(cloud: Cloud) -> Iterator[DynamicProcess]:
    """The provider process of the operator's next step."""
    with DynamicProcess(VastInstanceProvider(), timeout=PATIENCE) as running:
        running.configure(ACCOUNT)
        yield running


def wanted(cloud: Cloud, **changes: Any) -> dict[str, Any]:
    """Inputs with limits that a machine under load meets: a slow host must not become another one."""
    return cloud.props("chat-0", limits=PATIENT, **changes)


def other(cloud: Cloud, number: int) -> dict[str, Any]:
    """Inputs that differ in vLLM's arguments."""
    server = {**cloud.props("x")["server"], "arguments": ["--max-model-len", str(128 + number)]}
    return wanted(cloud, server=server)


def share(found: list[str], chunk: int, chunks: int = CHUNKS) -> list[str]:
    return [moment for number, moment in enumerate(found) if number % chunks == chunk]


def turn(tier: Tier, found: list[str], victim: int) -> list[str]:
    """Return the seams at which the first or the second victim is struck in this run."""
    return tier.slice(found, ONE_OF, victim * ONE_OF // 2)


def assert_serves(cloud: Cloud, outs: dict[str, Any], moment: str) -> None:
    assert [row["id"] for row in cloud.rented()] == [outs["instanceId"]], moment
    access = wanted(cloud)["access"]
    assert probe(str(outs["endpoint"]), access["caCertificate"], access["token"], "tiny", SystemClock(), 120).text, (
        moment
    )


def assert_create_fails(one: Killable, cloud: Cloud, moment: str) -> None:
    cloud.forget_answers()
    try:
        one.process.create(wanted(cloud))
    except ProviderError:
        assert "struck" in one.seams, f"a create failed before {moment}"
    else:
        pytest.fail(f"a create went on after {moment}" if "struck" in one.seams else f"a create never reached {moment}")


def end_all(cloud: Cloud) -> None:
    for row in cloud.rented():
        cloud.sandbox.market.destroy(row["id"])


def test_the_seams_of_all_rooms_are_found(recorded: dict[str, list[str]]) -> None:
    names = {operation: "\n".join(found) for operation, found in recorded.items()}

    for part in (
        "http PUT /api/vN/asks/N/",
        "store PutObject",
        "ssh connect",
        "service.sh vllm",
        "http POST /vN/completions",
    ):
        assert part in names["create"]
    assert "drain.sh" in names["update"]
    assert "http DELETE /api/vN/instances/N/" in names["delete"]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_create_whose_process_was_killed_is_taken_up_again(
    cloud: Cloud, rescuer: DynamicProcess, recorded: dict[str, list[str]], tmp_path: Path, tier: Tier, chunk: int
) -> None:
    for moment in share(turn(tier, recorded["create"], 0), chunk):
        with Killable(tmp_path / "notes", moment) as one:
            assert_create_fails(one, cloud, moment)
            assert one.seams[-1] == "struck", moment
        assert len(cloud.rented()) <= 1, moment

        _id, outs = rescuer.create(wanted(cloud))

        assert_serves(cloud, outs, moment)
        end_all(cloud)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_create_whose_engine_was_killed_gives_everything_back(
    cloud: Cloud, recorded: dict[str, list[str]], tmp_path: Path, tier: Tier, chunk: int
) -> None:
    # Past the last step on the host the instance serves, and only the next `up` or `destroy` can learn of it.
    last = max(number for number, name in enumerate(recorded["create"]) if ":ssh " in name)
    for moment in share(turn(tier, recorded["create"][: last + 1], 1), chunk):
        with Killable(tmp_path / "notes", moment, "engine") as one:
            assert_create_fails(one, cloud, moment)
            assert one.dies()

        assert cloud.rented() == [], moment


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_an_update_that_was_killed_is_done_by_the_next_one(
    cloud: Cloud,
    rescuer: DynamicProcess,
    recorded: dict[str, list[str]],
    tmp_path: Path,
    tier: Tier,
    victim: str,
    moment: str,
) -> None:
    id_, outs = rescuer.create(wanted(cloud))
    seams = turn(tier, recorded["update"], VICTIMS.index(victim))
    for number, seam in enumerate(share(seams, MOMENTS.index(moment), 2)):
        news = other(cloud, number)
        with Killable(tmp_path / "notes", seam, victim, moment) as one:
            try:
                one.process.update(id_, outs, news)
            except ProviderError:
                pass
            else:
                assert victim == "engine", "an update ends in order where only the engine has gone"
            assert "struck" in one.seams, seam

        outs = rescuer.update(id_, rescuer.read(id_, outs).outs, news)

        assert_serves(cloud, outs, seam)
        assert rescuer.read(id_, outs).outs["drift"] == [], seam


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_delete_that_was_killed_is_done_by_the_next_one(
    cloud: Cloud, rescuer: DynamicProcess, recorded: dict[str, list[str]], tmp_path: Path, tier: Tier, victim: str
) -> None:
    for seam in turn(tier, recorded["delete"], VICTIMS.index(victim)):
        id_, outs = rescuer.create(wanted(cloud))
        with Killable(tmp_path / "notes", seam, victim) as one:
            try:
                one.process.delete(id_, outs)
            except ProviderError:
                assert one.process.process.wait(timeout=PATIENCE) in {-signal.SIGKILL, 1}
            else:
                assert victim == "engine", "giving back goes on without an engine"
            assert "struck" in one.seams, seam

        rescuer.delete(id_, outs)

        assert cloud.rented() == [], seam
