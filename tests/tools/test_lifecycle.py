"""`make up` and `make down` in their order, with a terminal that answers for Pulumi and the sandbox."""

from __future__ import annotations

import json
import subprocess

import pytest

from tools import lifecycle

STACKS = ("pulumi", "stack", "ls", "--json")
STATUS = ("python", "-m", "sandbox", "status", "--json")
NOTHING = {"instances": [], "usd_per_hour": 0.0}
ONE = {"instances": [{"id": 7, "label": "gpu-fleet/x/chat-0"}], "usd_per_hour": 0.4}


class Terminal(lifecycle.Shell):
    """Answers the two questions; the market's answers come one after the other. `fails` is a word of what fails."""

    def __init__(self, stacks: list[str], markets: list[dict | None], fails: str = "-", selected: str = "") -> None:
        self.stacks = stacks
        self.selected = selected
        self.markets = markets
        self.fails = fails
        self.called: list[str] = []

    def call(self, *words: str) -> None:
        self.called.append(" ".join(words))
        if self.fails in words:
            raise subprocess.CalledProcessError(255, list(words))

    def output(self, *words: str) -> str:
        if words == STACKS:
            return json.dumps(
                [{"name": f"organization/gpu-fleet/{name}", "current": name == self.selected} for name in self.stacks]
            )
        assert words == STATUS
        return json.dumps({"market": self.markets.pop(0)})


def first_words(terminal: Terminal) -> list[str]:
    return [" ".join(line.split()[:3]) for line in terminal.called]


def test_up_starts_the_sandbox_before_the_stack_and_ends_with_the_table():
    terminal = Terminal([], [])
    lifecycle.go_up(terminal, "double")
    assert terminal.called[0] == "python -m sandbox up --vllm double"
    assert terminal.called[1] == "pulumi stack init local --no-select"
    assert terminal.called[2] == "pulumi stack select local"
    assert terminal.called[3].startswith("pulumi up --stack local --refresh --yes")
    assert terminal.called[4] == "python -m tools.table local"


def test_up_again_makes_no_second_stack_and_leaves_the_operators_selection():
    terminal = Terminal(["dev", "local"], [], selected="dev")
    lifecycle.go_up(terminal, "real")
    assert first_words(terminal) == ["python -m sandbox", "pulumi up --stack", "python -m tools.table"]


def test_up_shows_no_table_where_the_update_failed():
    terminal = Terminal(["local"], [], fails="--refresh")
    with pytest.raises(subprocess.CalledProcessError):
        lifecycle.go_up(terminal, "real")
    assert terminal.called[-1].startswith("pulumi up")


def test_down_destroys_and_asks_the_market_before_it_stops_it(capsys):
    terminal = Terminal(["local"], [ONE, NOTHING])
    lifecycle.go_down(terminal)
    assert first_words(terminal) == ["pulumi destroy --stack", "python -m sandbox"]
    assert terminal.called[-1] == "python -m sandbox down"
    assert "0 instances, $0.00 an hour" in capsys.readouterr().out


def test_down_fails_and_leaves_the_sandbox_where_the_market_still_bills(capsys):
    terminal = Terminal(["local"], [ONE, ONE])
    with pytest.raises(subprocess.CalledProcessError):
        lifecycle.go_down(terminal)
    assert "python -m sandbox down" not in terminal.called
    assert "gpu-fleet/x/chat-0" in capsys.readouterr().err


def test_down_claims_nothing_where_the_market_ended_before_it_was_asked(capsys):
    terminal = Terminal(["local"], [ONE, None])
    with pytest.raises(subprocess.CalledProcessError):
        lifecycle.go_down(terminal)
    assert "could confirm" in capsys.readouterr().err


def test_down_leaves_the_sandbox_where_destroy_failed():
    terminal = Terminal(["local"], [ONE], fails="destroy")
    with pytest.raises(subprocess.CalledProcessError):
        lifecycle.go_down(terminal)
    assert first_words(terminal) == ["pulumi destroy --stack"]


def test_down_without_a_sandbox_forgets_the_stack_whose_cloud_has_gone():
    terminal = Terminal(["local"], [None])
    lifecycle.go_down(terminal)
    assert terminal.called == ["pulumi stack rm local --yes --force --preserve-config"]


def test_down_twice_is_down():
    terminal = Terminal([], [None])
    lifecycle.go_down(terminal)
    assert terminal.called == []
