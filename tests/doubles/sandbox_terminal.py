"""A terminal that answers for Pulumi and the sandbox, and notes what `gpu-fleet up` and `down` call."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from cli import sandbox_stack

STACKS = ("pulumi", "stack", "ls", "--json")
STATUS = ("python", "-m", "sandbox", "status", "--json")
CONTROLLER_OFF = ("python", "-m", "sandbox", "controller", "--off")
NOTHING = {"instances": [], "usd_per_hour": 0.0}
ONE = {"instances": [{"id": 7, "label": "gpu-fleet/x/chat-0"}], "usd_per_hour": 0.4}


class Terminal(sandbox_stack.Shell):
    """Answers the two questions; the market's answers come one after the other. `fails` is a word of what fails."""

    def __init__(self, stacks: list[str], markets: list[dict | None], fails: str = "-", selected: str = "") -> None:
        self.stacks = stacks
        self.selected = selected
        self.markets = markets
        self.fails = fails
        self.called: list[str] = []
        self.cluster = True
        self.controller = True
        self.elastic: dict = {}  # the stack's output
        self.records: list[dict] = []  # what the stack's record holds, time after time; a resource where it runs out

    def call(self, *words: str) -> None:
        if words == CONTROLLER_OFF:
            self.controller = False
            return
        self.called.append(" ".join(words))
        if self.fails in words:
            raise subprocess.CalledProcessError(255, list(words))

    def leave_out_cluster(self) -> None:
        self.cluster = False

    def forget_slots(self, names: Sequence[str]) -> None:
        self.called += [f"forget {name}" for name in names]

    def quiet(self, *words: str) -> None:
        self.call(*words)

    def engine(self, *words: str) -> None:
        self.call("pulumi", *words)

    def output(self, *words: str) -> str:
        if words == STACKS:
            return json.dumps(
                [{"name": f"organization/gpu-fleet/{name}", "current": name == self.selected} for name in self.stacks]
            )
        if words[:3] == ("pulumi", "stack", "export"):
            return json.dumps({"deployment": self.records.pop(0) if self.records else {"resources": [{}]}})
        if words[:3] == ("pulumi", "stack", "output"):
            return json.dumps({"elastic": self.elastic} if self.elastic else {})
        assert words == STATUS
        return json.dumps({"market": self.markets.pop(0)})


def first_words(terminal: Terminal) -> list[str]:
    return [" ".join(line.split()[:3]) for line in terminal.called]
