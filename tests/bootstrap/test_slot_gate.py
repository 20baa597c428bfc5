"""The script by which a controller looks at a host's gate, closes and opens it, on a folder that stands for the host."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.kit import SCRIPTS
from bootstrap.remote_scripts import program

sys.path.append(str(SCRIPTS))  # as on the host, where it comes with gate_looks.py
import slot_gate

GAUGE = 'caddy_http_requests_in_flight{{handler="subroute",server="door"}} {}\n'
ENGINE = "vllm:num_requests_running {}\nvllm:num_requests_waiting 0.0\n"


class Here:
    """A host in a folder. `gauge` is one value a look."""

    def __init__(self, root: Path) -> None:
        self.root, self.etc, self.runs = root, root / "opt/gpu-fleet/etc", root / "run/gpu-fleet"
        for folder in (self.etc, self.runs):
            folder.mkdir(parents=True)
        (self.runs / "open").touch()
        self.gauge: list[int | None] = [0]
        self.engine: float | None = 0.0
        self.healthy = True
        self.now = 1000.0

    def gate(self) -> Any:
        return slot_gate.Gate(self.root, self._ask, lambda _seconds: None, lambda: self.now)

    def after(self, act: str) -> dict[str, Any]:
        answer: dict[str, Any] = slot_gate.answered(self.gate(), act)
        return answer

    def _ask(self, url: str) -> str | None:
        if url.endswith("/health"):
            return "" if self.healthy else None
        if url.endswith(":8000/metrics"):
            return None if self.engine is None else ENGINE.format(self.engine)
        value = self.gauge.pop(0) if len(self.gauge) > 1 else self.gauge[0]
        return None if value is None else GAUGE.format(value)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def test_a_look_tells_gate_requests_log_and_idleness(here: Here) -> None:
    (here.runs / "self-destruct.json").write_text(json.dumps({"idle": 41.0, "at": 990.0}))
    here.gauge, here.engine = [2], 3.0

    first = here.after("look")
    (here.runs / "admitted.log").write_text("{}\n")
    second = here.after("look")

    assert {**first, "admitted": ""} == {
        "gate": "open",
        "in_flight": 2,
        "engine": 3,
        "admitted": "",
        "idle": 41.0,
        "ending": "",
        "opens": True,
    }
    assert first["admitted"] != second["admitted"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda here: here.gauge.__setitem__(0, None), "in_flight"),
        (lambda here: setattr(here, "engine", None), "engine"),
        (lambda here: (here.runs / "self-destruct.json").write_text(json.dumps({"idle": 41.0, "at": 900.0})), "idle"),
        (lambda here: (here.runs / "self-destruct.json").write_text('{"idle": 41.0}'), "idle"),
        (lambda here: (here.runs / "self-destruct.json").write_text("{"), "idle"),
    ],
)
def test_a_witness_that_is_silent_leaves_it_unknown(here: Here, change: Callable[[Here], object], field: str) -> None:
    change(here)

    assert here.after("look")[field] is None


def test_a_look_at_health_is_no_request(here: Here) -> None:
    here.gauge = [1, 0, 0]

    assert here.after("look")["in_flight"] == 0


def test_a_gate_that_was_closed_here_opens_again(here: Here) -> None:
    assert here.after("close")["gate"] == "closed"
    assert here.after("close")["gate"] == "closed"
    assert here.after("open")["gate"] == "open"
    assert not (here.runs / "leaving.closed").exists()


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda here: (here.runs / "leaving.closed").unlink(),  # the machine started anew
        lambda here: setattr(here, "healthy", False),
        lambda here: (here.etc / "self-destruct.ending").write_text("lifetime"),
    ],
)
def test_a_gate_does_not_open_without_a_proof(here: Here, meanwhile: Callable[[Here], object]) -> None:
    assert here.after("close")["opens"]
    meanwhile(here)

    assert not here.after("look")["opens"]
    assert here.after("open")["gate"] == "closed"


def test_the_text_that_goes_to_a_host_runs_there_without_a_kit() -> None:
    text = program("slot_gate.py", {"act": "look"}, ("gate_looks",))

    done = subprocess.run(
        [sys.executable, "-S", "-"], input=text, capture_output=True, text=True, check=True, timeout=30, cwd="/"
    )

    assert json.loads(done.stdout)["gate"] in ("open", "closed")
