"""Pulumi's command line as a slot's stack uses it: each command is answered by the words that it begins with."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.slot_names import SlotName
from controller.pulumi_cli import Finished, Line, PulumiFolders
from controller.slot_lock import Holder
from controller.slot_stack import SlotStack
from controller.slot_state import STACK
from providers.vast.pulumi_state import INSTANCE

NO_STACK = Finished(255, "", "error: no stack named 'dev.slot.burst-0' found")
LOCK = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock "
    "file with `pulumi cancel`.\n  file:///b/.pulumi/locks/organization/gpu-fleet/dev.slot.burst-0/5cfa.json?no_tmp_dir=true"
    ": created by root@here (pid 7944) at 2026-11-30T20:36:55Z\n"
)
LOCKED = Finished(255, "", LOCK)
FINE = Finished(0, "", "")
EOF = Finished(255, "", "error: failed to load checkpoint: EOF\n")
OUTPUTS = {
    "name": "burst-s0",
    "instanceId": 7,
    "endpoint": "https://203.0.113.7:4000",
    "ssh": "203.0.113.7:4001",
    "hostKey": "ssh-ed25519 AAAA",
    "usdPerHour": 0.4,
    "chargedUsdPerHour": 0.35,
    "drift": [],
}


def exported(outputs: dict[str, Any] | None, pending: bool = False) -> Finished:
    rows: list[dict[str, Any]] = [{"type": STACK, "urn": "s", "outputs": {"digest": "d1"}}]
    rows += [] if outputs is None else [{"type": INSTANCE, "urn": "u", "id": "7", "outputs": outputs}]
    deployment = {"resources": rows, "pending_operations": [{"type": "creating"}] if pending else []}
    return Finished(0, json.dumps({"deployment": deployment}), "")


def stepped(type_: str, outputs: Mapping[str, Any], op: str = "create") -> str:
    """An event of the engine, as `pulumi up --json` prints it."""
    metadata = {"op": op, "urn": "urn::burst-s0", "type": type_, "new": {"outputs": outputs} if outputs else None}
    return json.dumps({"resOutputsEvent": {"metadata": metadata}})


def said(severity: str, message: str) -> str:
    return json.dumps({"diagnosticEvent": {"severity": severity, "message": message, "urn": "urn::burst-s0"}})


@dataclass
class Played:
    """Answers each command by the words that it begins with, the last answer again and again."""

    answers: Mapping[str, Sequence[Finished]]
    asked: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)  # each folder's files

    def __call__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], on_line: Line) -> Finished:
        line = " ".join(words)
        self.folders.append(folder)
        self.environments.append(environment)
        self.seen.append({file.name: file.read_text() for file in folder.iterdir()})
        key = max((key for key in self.answers if line.startswith(key)), key=len)
        before = sum(one.startswith(key) for one in self.asked)
        self.asked.append(line)
        answer = self.answers[key][min(before, len(self.answers[key]) - 1)]
        for text in answer.stdout.splitlines(keepends=True):
            on_line(text)
        return answer


@pytest.fixture
def place(tmp_path: Path) -> PulumiFolders:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text(
        "name: gpu-fleet\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\nconfig: {market: {type: object}}\n"
    )
    return PulumiFolders(project, tmp_path / "work", {"PULUMI_CONFIG_PASSPHRASE": "a passphrase"})


def slot(
    place: PulumiFolders,
    answers: Mapping[str, Sequence[Finished]],
    is_dead: Callable[[tuple[Holder, ...]], bool] = bool,
) -> tuple[SlotStack, Played]:
    digest = {"stack output slot": [Finished(0, json.dumps({"digest": "d0"}), "")]}
    played = Played({**digest, **answers})
    return SlotStack(SlotName("dev", "burst", 0), place, {"PATH": "/bin"}, played, is_dead), played


def quiet(_phase: str, _text: str) -> None:
    pass
