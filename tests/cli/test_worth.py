"""`gpu-fleet worth`: the figures for people and for programs, and unknown ones as `?` and null."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cli.main import main
from cli.worth import described, facts
from config.api_prices import ApiPrice
from config.stack import StackConfig
from monitoring.worth.figures import Use, Work, worth
from monitoring.worth.prices import prices_of
from monitoring.worth.rentals import Rental
from providers.ledger.folder_ledger import FolderLedger, ledger_home
from tests.doubles.ledger_events import attempt
from tests.doubles.pulumi_command import exported, path_with_pulumi

HOUR = 3600.0
BEGIN = 1_796_000_000.0
WINDOW = (BEGIN, BEGIN + 30 * 24 * HOUR)
MODELS = {"chat": "llama"}
PRICES = {"llama": [ApiPrice("openai/gpt-4o-mini", 0.15, 0.60)]}
SERVED = Rental("chat-0", 1, BEGIN, BEGIN + HOUR, BEGIN + 21 * HOUR, 0.20, 0.34)
FAILED = Rental("chat-0", 2, BEGIN, None, BEGIN + HOUR, 0.30, 0.34)
USE = Use({("chat", "llama"): Work(1000, 750_000, 250_000)}, {1: 20 * HOUR}, {1: 10 * HOUR})


def test_people_read_three_tables_and_a_sum() -> None:
    rows = worth([SERVED, FAILED], USE, WINDOW, MODELS, PRICES)

    *lines, last = (" ".join(line.split()) for line in described("dev", 30, rows))
    assert lines == [
        "Stack dev, 30 days:",
        "",
        "fleet model paid failed starting idle used unseen always on saved",
        "chat llama $7.30 4.11% 2.74% 46.6% 46.6% 0% $244.80 97%",
        "all $7.30 4.11% 2.74% 46.6% 46.6% 0% $244.80 97%",
        "",
        "fleet model requests a request tokens in out 1M tokens 1M in 1M out tokens/h",
        "chat llama 1,000 $0.0073 750,000 250,000 $7.30 $9.73 $29.20 50,000",
        "",
        "fleet model compared with its 1M in its 1M out the same tokens break-even tokens/h",
        "chat llama openai/gpt-4o-mini $0.150 $0.600 $0.263 1,295,238",
        "",
    ]
    assert last.startswith(
        "Paid for 1 h 0 min before instances served. On top of use came 115%. Always on, a month of 730 h "
    )
    assert last.endswith(" costs $248.20.")


def test_what_is_not_known_is_a_question_mark_and_null() -> None:
    doubted = replace(SERVED, doubt="the ledger does not know its end, and the market does not answer")
    rows = worth([doubted], None, WINDOW, MODELS, PRICES)

    lines = [" ".join(line.split()) for line in described("dev", 30, rows)]
    assert lines[3] == "chat llama ≥ $7.00 0% 2.86% ? ? ? $244.80 ≤ 97.1%"
    assert lines[7] == "chat llama ? ? ? ? ? ? ? ?"
    assert lines[10] == "chat llama openai/gpt-4o-mini $0.150 $0.600 ? ?"
    assert lines[-1] == f"At least, because of chat-0 (instance 1): {doubted.doubt}"
    [row] = json.loads(json.dumps(facts("dev", 30, rows)))["fleets"]
    assert (round(row["usd"]["paid"], 6), row["usd"]["idle"], row["shares"]["idle"]) == (7.0, None, None)
    assert (row["requests"], row["tokens"], row["usd_per_request"], row["tokens_per_hour"]) == (None,) * 4
    assert row["usd_per_million_tokens"] == {"both": None, "in": None, "out": None}
    assert row["compared"][0]["break_even_tokens_per_hour"] is None
    assert row["doubts"]


def test_a_program_reads_shares_and_dollars() -> None:
    found = facts("dev", 30, worth([SERVED, FAILED], USE, WINDOW, MODELS, PRICES))

    [row] = found["fleets"]
    assert round(sum(row["usd"][name] for name in ("failed", "starting", "idle", "used", "unseen")), 6) == 7.3
    assert round(row["always_on_month_usd"], 6) == 248.2
    assert found["total"]["usd"]["paid"] == row["usd"]["paid"]
    assert [one["with"] for one in row["compared"]] == ["openai/gpt-4o-mini"]


def test_a_stack_that_rented_nothing_says_so() -> None:
    assert described("dev", 30, []) == ["Nothing was rented for stack dev in 30 days."]
    assert facts("dev", 30, [])["total"] is None


def test_config_names_what_a_model_is_compared_with() -> None:
    stack = StackConfig.model_validate(
        {
            "store": {"endpoint": "https://fsn1.example", "region": "fsn1", "bucket": "weights"},
            "models": {
                "llama": {"manifest": "models/l.json", "comparedWith": ["openai/gpt-4o-mini", "openai/none-such"]},
                "small": {"manifest": "models/s.json"},
            },
        }
    )

    assert {name: [one.name for one in found] for name, found in prices_of(stack, BEGIN).items()} == {
        "llama": ["openai/gpt-4o-mini"]
    }


def test_the_command_tells_what_the_ledger_knows_if_nothing_else_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    sections = {
        "store": {"endpoint": "http://127.0.0.1:9", "region": "r", "bucket": "weights"},
        "market": {"url": "http://127.0.0.1:9", "timeScale": 100},
        "models": {"llama": {"manifest": "models/l.json", "comparedWith": ["openai/gpt-4o-mini"]}},
        "fleets": {"chat": {"model": "llama", "gpu": {"name": "RTX 4090"}, "maxUsdPerHour": 0.5}},
    }
    config: dict[str, object] = {f"gpu-fleet:{key}": {"value": json.dumps(value)} for key, value in sections.items()}
    config["gpu-fleet:vastApiKey"] = {"value": "key", "secret": True}
    identity = {"type": "pulumi-python:dynamic/identity:Identity", "id": "stack"}
    answers = {"config": (0, json.dumps(config), ""), "stack export": exported(resources=[identity])}
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ledger = FolderLedger(ledger_home(os.environ, "weights"))
    for one in attempt(now - 3600, phases={"rent": 10.0, "wait": 60.0, "probe": 600.0}):
        ledger.append(one)
    monkeypatch.chdir(tmp_path)

    status = main(["worth", "--stack", "dev", "--prometheus", "http://127.0.0.1:9", "--json"])

    told = json.loads(capsys.readouterr().out)
    [row] = told["fleets"]
    assert status == 3
    assert (row["fleet"], row["model"], row["rentals"]) == ("chat", "llama", 1)
    assert row["usd"]["paid"] > 0
    assert (row["usd"]["idle"], row["requests"]) == (None, None)
    assert [one["with"] for one in row["compared"]] == ["openai/gpt-4o-mini"]
    assert "the market does not answer" in row["doubts"][0]
    assert [sentence.partition(",")[0] for sentence in told["troubles"]] == ["The market does not answer", "Idle time"]
