"""The service that ends a host, on a folder that stands for the host: what it reads there, and what it asks of whom."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.kit import SCRIPTS
from tests.doubles.called import Called, running_called

sys.path.append(str(SCRIPTS))  # as on the host, where both files lie in the kit
import self_destruct as service

GAUGE = 'caddy_http_requests_in_flight{{handler="subroute",server="door"}} {}\nother{{server="door"}} 9\n'
KEY = "key-of-this-instance-alone"


class Here:
    """A host in a folder. `gauge`, `engine` and `gpu` are what the witnesses say, `gauge` one value a look."""

    def __init__(self, root: Path) -> None:
        self.root, self.etc, self.runs = root, root / "opt/gpu-fleet/etc", root / "run/gpu-fleet"
        for folder in (self.etc, self.runs, root / "proc/1", root / "proc/sys/kernel/random"):
            folder.mkdir(parents=True)
        self.gauge: list[Any] = [0]
        self.engine: str | None = "vllm:num_requests_running 0.0\nvllm:num_requests_waiting 0.0\n"
        self.gpu: Any = "0\n"
        self.now = 1000.0
        self.boot("one")
        self.want(idle=1800)
        (self.root / "proc/1/environ").write_bytes(f"A=b\0CONTAINER_API_KEY={KEY}\0CONTAINER_ID=4711\0".encode())

    def boot(self, mark: str) -> None:
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"{mark}\n")

    def want(self, market: str = "http://127.0.0.1:1", **limits: float) -> None:
        (self.etc / "self-destruct.wanted").write_text(json.dumps({"kit": "k", "market": market, **limits}))

    def visit(self, **told: object) -> None:
        (self.etc / "self-destruct.visit").write_text(json.dumps({"age": 0, **told}))

    def service(self) -> Any:
        return service.Host(self.root, lambda: self.now, lambda seconds: None, self._ask, self._run)

    def _ask(self, url: str) -> str | None:
        if url.endswith("/health"):
            return ""
        if url.endswith(":8000/metrics"):
            return self.engine
        value = self.gauge.pop(0) if len(self.gauge) > 1 else self.gauge[0]
        return None if value is None else GAUGE.format(value)

    def _run(self, *_command: object, **_: object) -> Any:
        if isinstance(self.gpu, Exception):
            raise self.gpu
        return SimpleNamespace(stdout=self.gpu)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


@pytest.fixture
def other() -> Iterator[Called]:
    with running_called() as called:
        yield called


@pytest.mark.parametrize(
    ("witness", "busy"),
    [
        ({}, False),
        ({"gauge": [1]}, True),
        ({"gauge": [1, 1, 0]}, False),  # somebody looked at /health
        ({"gauge": [None]}, None),
        ({"gauge": [1, None]}, None),
        ({"engine": None}, None),
        ({"engine": 'vllm:num_requests_running{engine="0"} 1.0\n'}, True),
        ({"engine": "vllm:num_requests_waiting 2.0\n", "gauge": [None]}, True),
        ({"gpu": "0\n97\n"}, True),
        ({"gpu": "3\n"}, False),
        ({"gpu": "[N/A]\n"}, False),
        ({"gpu": OSError("no nvidia-smi")}, None),
        ({"gpu": subprocess.TimeoutExpired("nvidia-smi", 20)}, None),
    ],
)
def test_every_witness_can_say_busy_and_one_that_is_silent_leaves_it_unknown(
    here: Here, witness: dict[str, Any], busy: bool | None
) -> None:
    vars(here).update(witness)

    assert here.service().busy() is busy


def test_marks_change_with_each_request_each_renewal_and_each_rotation(here: Here) -> None:
    seen = []
    for change in (
        lambda: None,
        lambda: (here.runs / "admitted.log").write_text("{}\n"),
        lambda: (here.runs / "admitted.log").rename(here.runs / "admitted-1.log"),
        lambda: (here.runs / "admitted.log").write_text("{}\n"),
        lambda: (here.runs / "lease.log").write_text("{}\n"),
        here.visit,
        lambda: (here.etc / "attended").write_text("12\n"),
    ):
        change()
        look = here.service().look()
        seen.append((look.admitted, look.renewed, look.attended))

    assert len(seen) == 7
    assert all(earlier != later for earlier, later in itertools.pairwise(seen))


def test_the_gate_is_closed_only_if_no_operator_came_meanwhile(here: Here) -> None:
    (here.runs / "open").touch()
    host = here.service()
    look = host.look()
    (here.etc / "attended").write_text("12\n")

    host.close(look.attended)
    assert (here.runs / "open").exists()

    host.close(host.look().attended)
    assert not (here.runs / "open").exists()

    host.reopen()
    assert (here.runs / "open").exists()


@pytest.mark.parametrize(
    ("meanwhile", "opens"),
    [
        (lambda here: None, True),
        (lambda here: (here.etc / "attended").write_text("12\n"), False),  # an operator found it closed
        (lambda here: (here.etc / "self-destruct.ending").write_text("idle"), False),
        (lambda here: (here.runs / "self-destruct.closed").unlink(), False),  # the machine was restarted
    ],
)
def test_a_service_that_was_killed_after_it_closed_the_gate_opens_it_again(
    here: Here, meanwhile: Callable[[Here], object], opens: bool
) -> None:
    (here.runs / "open").touch()
    host = here.service()
    host.close(host.look().attended)

    meanwhile(here)
    here.service().begin()

    assert (here.runs / "open").exists() == opens


def test_a_gate_that_others_closed_stays_closed(here: Here) -> None:
    host = here.service()
    host.close(host.look().attended)

    here.service().begin()

    assert not (here.runs / "open").exists()


def test_word_is_left_before_the_market_is_asked_with_the_instances_own_key(
    here: Here, other: Called, capsys: pytest.CaptureFixture[str]
) -> None:
    here.want(f"http://127.0.0.1:{other.port}", idle=1800)
    here.visit(word=f"http://127.0.0.1:{other.port}/word?X-Amz-Signature=hush")

    here.service().end("idle", 1803.2, 7200)

    put, delete = other.calls
    assert (put.method, len(put.body)) == ("PUT", service.WORD_BYTES)
    assert json.loads(put.body) == {"version": 1, "why": "idle", "idle_seconds": 1803, "lived_seconds": 7200}
    assert (delete.method, delete.path, delete.body) == ("DELETE", "/api/v0/instances/4711/", b"{}")
    assert delete.headers["Authorization"] == f"Bearer {KEY}"
    assert delete.headers["User-Agent"] == "gpu-fleet"
    printed = capsys.readouterr().out
    assert KEY not in printed
    assert "hush" not in printed


@pytest.mark.parametrize("damage", ["no store", "no word", "no key", "refused", "no market"])
def test_whatever_fails_at_the_end_it_is_tried_again_and_the_reason_outlives_a_restart(
    here: Here, other: Called, damage: str
) -> None:
    here.want(f"http://127.0.0.1:{1 if damage == 'no market' else other.port}", idle=1800)
    if damage != "no word":
        here.visit(word=f"http://127.0.0.1:{1 if damage == 'no store' else other.port}/word")
    if damage == "no key":
        (here.root / "proc/1/environ").write_bytes(b"CONTAINER_ID=4711\0")
    other.statuses = [200, 403] if damage == "refused" else [200]

    here.service().end("idle", 1803, 7200)

    asked = [call.method for call in other.calls]
    assert ("DELETE" in asked) == (damage not in ("no key", "no market"))
    again = here.service().begin()
    assert (again.phase, again.why) == (service.rules.ENDING, "idle")


@pytest.mark.parametrize(
    ("change", "lives"),
    [
        (lambda here: None, 600),
        (lambda here: here.boot("two"), 500),  # what it slept is not counted
        (lambda here: here.visit(age=9000), 9000),
        (lambda here: here.visit(age=5), 600),  # a market that forgot, or an operator with a wrong clock
        (lambda here: (here.etc / "self-destruct.lived").write_text("{"), 0),
        (lambda here: (here.etc / "self-destruct.visit").write_text("[]"), 600),
    ],
)
def test_a_host_knows_its_age_after_its_service_or_its_machine_was_restarted(
    here: Here, change: Callable[[Here], object], lives: float
) -> None:
    first = here.service()
    first.lived(1000.0)
    first.lived(1500.0)
    change(here)
    here.now = 1600.0

    assert here.service().lived(1600.0) == lives


def test_what_it_does_is_written_for_the_agent(here: Here) -> None:
    here.want(idle=1800, lease=900)
    host = here.service()
    state = host.begin()

    host.report(state)
    assert json.loads((here.runs / "self-destruct.json").read_text()) == {
        "ending": "",
        "since": 1000.0,
        "lease_until": 1900.0,
        "idle": 0.0,
        "at": 1000.0,
    }

    (here.etc / "self-destruct.ending").write_text("lease")
    host.report(host.begin())
    assert json.loads((here.runs / "self-destruct.json").read_text())["ending"] == "lease"


def test_the_time_for_which_it_has_tried_to_end_counts_on_after_each_turn(here: Here) -> None:
    (here.etc / "self-destruct.ending").write_text("idle")
    host = here.service()
    state = host.begin()
    for _turn in range(3):
        here.now += 100
        state, _ = service.rules.step(state, host.look(), host.limits)
        host.report(state)

    assert json.loads((here.runs / "self-destruct.json").read_text())["since"] == 1000.0


def test_the_wall_clock_decides_nothing() -> None:
    """A clock that jumps and another timezone change no end: both files read the monotonic clock only."""
    for name in ("self_destruct.py", "self_destruct_rules.py"):
        text = (SCRIPTS / name).read_text()
        assert "time.time(" not in text
        assert "datetime" not in text
