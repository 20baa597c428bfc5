"""`make up` and `make down` in their order, with a terminal that answers for Pulumi and the sandbox."""

from __future__ import annotations

import os
import subprocess
from unittest.mock import patch

import pytest

from cli import sandbox_stack
from cli.down import go_down
from cli.errors import CommandError
from cli.up import go_up
from tests.controller.api.test_applied_offers import OUTPUT
from tests.doubles.pulumi_command import path_with_pulumi
from tests.doubles.sandbox_terminal import NOTHING, ONE, Terminal, first_words
from tools.machine.paths import Paths


def test_up_starts_the_sandbox_before_the_stack_and_ends_with_the_table_and_what_is_next(capsys):
    terminal = Terminal([], [])
    go_up(terminal, "double", "off")
    assert terminal.called[0] == "python -m sandbox up --vllm double --monitoring off"
    assert terminal.called[1] == "pulumi stack init local --no-select"
    assert terminal.called[2] == "pulumi stack select local"
    assert terminal.called[3].startswith("pulumi up --stack local --refresh --yes")
    assert terminal.called[4:] == ["python -m cli status --stack local"]
    assert capsys.readouterr().out.endswith("next: make ask\n")


def test_up_starts_the_controller_of_elastic_fleets_and_says_what_may_be_asked_for(capsys):
    terminal = Terminal(["local"], [], selected="local")
    terminal.elastic = OUTPUT
    go_up(terminal, "double", "off")
    assert terminal.called[1].startswith("pulumi up --stack local")
    assert terminal.called[2:] == ["python -m sandbox controller --stack local", "python -m cli status --stack local"]
    said = capsys.readouterr().out
    assert "burst  elastic: 0 to 2 instances of llama-3.1-8b, at most $0.500/h each" in said
    assert "secret" not in said

    terminal = Terminal(["local"], [], selected="local")
    terminal.elastic = {**OUTPUT, "fleets": {}}
    go_up(terminal, "double", "off")
    assert not any("controller" in line for line in terminal.called), "clients alone need none"


def test_up_ends_with_a_sentence_if_the_output_of_elastic_fleets_cannot_be_read():
    terminal = Terminal(["local"], [], selected="local")
    terminal.elastic = {"version": 1}
    with pytest.raises(CommandError, match="stack local: the output `elastic`"):
        go_up(terminal, "double", "off")


def test_endpoints_may_come_before_monitoring_and_the_cluster(capsys):
    terminal = Terminal(["local"], [], selected="local")
    go_up(terminal, "double", "later")
    assert terminal.called[0] == "python -m sandbox up --vllm double --monitoring off"
    assert terminal.called[1].startswith("pulumi up --stack local --refresh")
    assert not terminal.cluster
    said = capsys.readouterr().out
    assert "The endpoints answer: `make ask`" in said
    assert "next: make ask" not in said


def test_a_cluster_that_the_record_has_is_not_left_out_for_endpoints_that_may_come_first():
    terminal = Terminal(["local"], [], selected="local")
    terminal.records = [{"resources": [{"type": "kubernetes:core/v1:Service"}]}]
    go_up(terminal, "double", "later")
    assert terminal.called == []


@pytest.mark.parametrize(("monitoring", "cluster"), [("on", True), ("off", False)])
def test_without_monitoring_the_program_declares_no_cluster(monitoring, cluster):
    terminal = Terminal(["local"], [])
    go_up(terminal, "double", monitoring)
    assert terminal.cluster is cluster


@pytest.mark.parametrize(
    ("kind", "cluster"), [("kubernetes:core/v1:Service", True), ("pulumi-python:dynamic/vast:Instance", False)]
)
def test_down_declares_a_cluster_only_if_the_record_has_one(kind, cluster):
    terminal = Terminal(["local"], [NOTHING, NOTHING])
    terminal.records = [{"resources": [{"type": kind}]}, {}]
    go_down(terminal)
    assert terminal.cluster is cluster


def test_up_again_makes_no_second_stack_and_leaves_the_operators_selection():
    terminal = Terminal(["dev", "local"], [], selected="dev")
    go_up(terminal, "real", "on")
    assert first_words(terminal) == [
        "python -m sandbox",
        "pulumi up --stack",
        "python -m cli",
    ]


def test_up_shows_no_table_where_the_update_failed():
    terminal = Terminal(["local"], [], fails="--refresh")
    with pytest.raises(subprocess.CalledProcessError):
        go_up(terminal, "real", "on")
    assert terminal.called[-1].startswith("pulumi up")


def test_down_destroys_and_asks_the_market_before_it_stops_it(capsys):
    terminal = Terminal(["local"], [ONE, NOTHING])
    terminal.records = [{"resources": [{}]}, {}]
    go_down(terminal)
    assert not terminal.controller
    assert first_words(terminal) == ["pulumi destroy --stack", "pulumi stack rm", "python -m sandbox"]
    assert "--force" not in terminal.called[1]
    assert terminal.called[-1] == "python -m sandbox down"
    assert "0 instances, $0.00 an hour" in capsys.readouterr().out


def test_down_forgets_the_stacks_of_slots_once_the_market_says_that_nothing_is_rented():
    names = ["local", "local.slot.burst-1", "other.slot.burst-0", "local.slot.burst-0"]
    terminal = Terminal(names, [ONE, NOTHING])
    terminal.records = [{"resources": [{}]}, {}]
    go_down(terminal)
    forgotten = ["forget local.slot.burst-0", "forget local.slot.burst-1"]
    assert first_words(terminal) == ["pulumi destroy --stack", *forgotten, "pulumi stack rm", "python -m sandbox"]
    still = Terminal(names, [ONE, ONE])
    with pytest.raises(subprocess.CalledProcessError):
        go_down(still)
    assert not any(line.startswith("forget") for line in still.called)


def test_down_without_a_sandbox_forgets_slots_whose_instances_ended_with_it():
    terminal = Terminal(["local", "local.slot.burst-0"], [None])
    go_down(terminal)
    assert terminal.called[0] == "forget local.slot.burst-0"


def test_down_ends_the_controller_before_slots_so_that_it_starts_none_anew():
    terminal = Terminal(["local"], [ONE], fails="destroy")
    with pytest.raises(subprocess.CalledProcessError):
        go_down(terminal)
    assert not terminal.controller


def test_down_destroys_nothing_that_the_record_does_not_hold():
    terminal = Terminal(["local"], [NOTHING, NOTHING])
    terminal.records = [{"manifest": {}}]
    go_down(terminal)
    assert first_words(terminal) == ["pulumi stack rm", "python -m sandbox"]


def test_down_ends_what_the_destroy_itself_made_anew():
    terminal = Terminal(["local"], [ONE, NOTHING])
    terminal.records = [{"pending_operations": [{}]}, {"resources": [{}]}]
    go_down(terminal)
    assert first_words(terminal)[:2] == ["pulumi destroy --stack"] * 2
    assert "--run-program=false" not in terminal.called[0]
    assert terminal.called[1].endswith("--run-program=false")
    assert terminal.called[2] == "pulumi stack rm local --yes --preserve-config"


def test_up_drops_creates_that_were_killed():
    terminal = Terminal(["local"], [], selected="local")
    terminal.records = [{"pending_operations": [{}]}]
    go_up(terminal, "double", "off")
    assert terminal.called[1] == "pulumi refresh --stack local --clear-pending-creates --yes --skip-preview"
    assert terminal.called[2].startswith("pulumi up --stack local --refresh")


def test_down_fails_and_leaves_the_sandbox_where_the_market_still_bills(capsys):
    terminal = Terminal(["local"], [ONE, ONE])
    with pytest.raises(subprocess.CalledProcessError):
        go_down(terminal)
    assert "python -m sandbox down" not in terminal.called
    assert "gpu-fleet/x/chat-0" in capsys.readouterr().err


def test_down_claims_nothing_where_the_market_ended_before_it_was_asked(capsys):
    terminal = Terminal(["local"], [ONE, None])
    with pytest.raises(subprocess.CalledProcessError):
        go_down(terminal)
    assert "could confirm" in capsys.readouterr().err


def test_down_leaves_the_sandbox_where_destroy_failed():
    terminal = Terminal(["local"], [ONE], fails="destroy")
    with pytest.raises(subprocess.CalledProcessError):
        go_down(terminal)
    assert first_words(terminal) == ["pulumi destroy --stack"]


def test_down_without_a_sandbox_forgets_the_stack_whose_cloud_has_gone():
    terminal = Terminal(["local"], [None])
    go_down(terminal)
    assert terminal.called == ["python -m sandbox clean", "pulumi stack rm local --yes --force --preserve-config"]


def test_down_keeps_the_record_where_the_store_of_a_killed_sandbox_could_not_be_removed():
    terminal = Terminal(["local"], [None], fails="clean")
    with pytest.raises(subprocess.CalledProcessError):
        go_down(terminal)
    assert terminal.called == ["python -m sandbox clean"]


class Remembering(Terminal):
    """Forgets and keeps as the real commands do: the stack's record, the market, and whose bucket the store holds."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.running = False
        self.made = 0
        self.bucket: int | None = None

    def call(self, *words: str) -> None:
        super().call(*words)
        match words[1:]:
            case ("-m", "sandbox", "up", *_):
                self.running = True
            case ("-m", "sandbox", "down"):
                self.running = False
            case ("-m", "sandbox", "clean"):
                assert not self.running
                self.bucket = None
            case ("stack", "init", name, *_):
                self.stacks, self.made = [name], self.made + 1
            case ("stack", "rm", *options):
                assert "--force" in options or self.bucket is None
                self.stacks = []
            case ("up", *_):
                assert self.bucket in (None, self.made), "the bucket belongs to another stack"
                self.bucket = self.made
            case ("destroy", *_):
                self.bucket = None

    def output(self, *words: str) -> str:
        self.markets = [NOTHING if self.running else None]
        self.records = [{"resources": [{}]} if self.bucket else {}]
        return super().output(*words)

    def kill_the_sandbox(self) -> None:
        self.running = False


def test_a_killed_sandbox_is_no_obstacle_to_down_and_up():
    terminal = Remembering()
    go_up(terminal, "double", "off")
    terminal.kill_the_sandbox()
    go_down(terminal)
    go_up(terminal, "double", "off")
    assert (terminal.made, terminal.bucket) == (2, 2)


def test_a_killed_sandbox_that_comes_up_again_keeps_its_stack():
    terminal = Remembering()
    go_up(terminal, "double", "off")
    terminal.kill_the_sandbox()
    go_up(terminal, "double", "off")
    assert (terminal.made, terminal.bucket) == (1, 1)


@pytest.mark.parametrize("killed", [False, True])
def test_down_ends_the_same_way_however_it_began_and_how_often(killed):
    terminal = Remembering()
    go_up(terminal, "double", "off")
    if killed:
        terminal.kill_the_sandbox()
    for _ in range(2):
        go_down(terminal)
        assert (terminal.stacks, terminal.running, terminal.bucket) == ([], False, None)


def test_a_missing_config_of_the_stack_is_one_sentence_with_the_command_that_brings_it_back(tmp_path):
    (tmp_path / "Pulumi.yaml").touch()
    where = Paths(tmp_path, tmp_path / "cache", tmp_path / "state")
    with patch.dict(os.environ, PATH=path_with_pulumi(tmp_path / "bin", {})):
        with pytest.raises(CommandError, match=r"`git checkout Pulumi\.local\.yaml` brings it back"):
            sandbox_stack.refuse_unready(where)
        (tmp_path / "Pulumi.local.yaml").touch()
        sandbox_stack.refuse_unready(where)
