"""Whose fault it is that vLLM ended: one that says no everywhere stops the fleet, a sick machine is swapped."""

import json
from pathlib import Path
from typing import Any

import pytest

from bootstrap.blame import blame
from bootstrap.errors import EngineDied, EngineRefused, GpuUnfit, StepFailed
from bootstrap.host import Result
from bootstrap.vllm import START_SECONDS, VllmServer
from tests.doubles.clock import FakeClock

CASES = json.loads((Path(__file__).parent / "cases/ends.json").read_text())


class Host:
    """A host whose looks at vLLM come from a list; the last one repeats. Remembers what was run."""

    def __init__(self, *looks: dict[str, Any]) -> None:
        self.looks = list(looks)
        self.commands: list[str] = []

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        if b"REQUEST" not in stdin:
            self.commands.append(command)
            return Result(0, "", "")
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return Result(0, json.dumps(look), "")

    def put(self, data: bytes, path: str, mode: int) -> None:
        raise NotImplementedError

    def close(self) -> None: ...

    @property
    def stopped(self) -> bool:
        return any("stop.sh vllm" in command and "rm -f /run/gpu-fleet/open" in command for command in self.commands)


def look(ready: bool = False, ends: tuple[str, ...] = (), log: str = "") -> dict[str, Any]:
    return {"ready": ready, "ends": list(ends), "log": log}


def await_answer(host: Host, clock: FakeClock | None = None) -> None:
    VllmServer(host, clock or FakeClock(), "chat-0", "tiny").await_answer()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_last_words_tell_whose_fault_it_is(case: dict[str, Any]) -> None:
    assert blame(case["ends"], case["log"]).value == case["blame"]


def test_a_refusal_stops_at_once_with_the_last_lines() -> None:
    host = Host(look(ends=("2 0",), log="first\nerror: unrecognized arguments: --x"))

    with pytest.raises(EngineRefused, match=r"chat-0.*every machine(.|\n)*unrecognized arguments: --x"):
        await_answer(host)

    assert host.stopped


@pytest.mark.parametrize(
    ("log", "too_small"),
    [
        ("ValueError: No available memory for the cache blocks. Try", True),
        ("ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.", False),
    ],
)
def test_what_every_gpu_of_the_model_would_show_stops_at_once_and_says_so(log: str, too_small: bool) -> None:
    host = Host(look(ends=("1 0",), log=log))

    with pytest.raises(GpuUnfit, match=rf"chat-0.*this model of GPU(.|\n)*{log[:30]}") as raised:
        await_answer(host)

    assert raised.value.too_small is too_small
    assert host.stopped


def test_one_end_is_forgiven_and_forgotten() -> None:
    host = Host(look(), look(ends=("-1 9",)), look(), look(ready=True))

    await_answer(host)

    assert not host.stopped
    assert any("rm -f /run/gpu-fleet/vllm.ends" in command for command in host.commands)


def test_a_second_end_is_the_machines_fault() -> None:
    host = Host(look(ends=("-1 9",)), look(), look(ends=("1 0",), log="CUDA error"))

    with pytest.raises(EngineDied, match=r"ended 2 times(.|\n)*CUDA error"):
        await_answer(host)

    assert host.stopped


def test_one_that_never_answers_is_given_up() -> None:
    clock, host = FakeClock(), Host(look(log="INFO loading"))

    with pytest.raises(EngineDied, match=r"did not answer within 15 min(.|\n)*INFO loading"):
        await_answer(host, clock)

    assert clock.now >= START_SECONDS
    assert host.stopped


@pytest.mark.parametrize("damaged", [{}, {"ready": 3, "ends": [], "log": ""}, {**look(), "more": 1}])
def test_a_look_that_does_not_parse_is_a_failed_step(damaged: dict[str, Any]) -> None:
    with pytest.raises(StepFailed, match="cannot be read"):
        await_answer(Host(damaged))
