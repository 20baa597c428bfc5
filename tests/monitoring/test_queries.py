"""What queries answer, asked of a real Prometheus that holds known numbers."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring import queries
from monitoring.prometheus import Prometheus
from tests.doubles.prometheus import with_series

pytestmark = [pytest.mark.monitoring, pytest.mark.xdist_group("monitoring")]
STEP, STEPS = 60, 60
# Id -> model, $/h, tokens a minute, and the exporter that tells of it.
INSTANCES = {
    "1": ("big", 0.30, 1000, "a"),
    "2": ("big", 0.50, 0, "a"),
    "3": ("small", 0.10, 500, "a"),
    "4": ("quick", 0.10, 1000, "b"),
    "5": ("quiet", 0.10, 5, "a"),
}
SCALES = {"a": 1, "b": 30}


def samples(now: int) -> str:
    """An hour of five instances; the third has just been changed from another model in place, the last has few tokens."""
    rows = []
    for number in range(STEPS + 1):
        at = now - (STEPS - number) * STEP
        for id_, (model, usd, tokens, exporter) in INSTANCES.items():
            who = f'instance_id="{id_}",name="chat-{id_}",fleet="chat"'
            rows.append((f'vast_instance_cost_per_hour{{{who},job="exporter",instance="{exporter}"}}', usd, at))
            rows.append((f'vast_model_info{{{who},model="{model}",digest="d"}}', 1, at))
            rows += [(f"vllm:{kind}_tokens_total{{{who}}}", tokens * number, at) for kind in ("prompt", "generation")]
        rows += [(f'vast_market_time_scale{{job="exporter",instance="{who}"}}', n, at) for who, n in SCALES.items()]
    rows.append(('vast_model_info{instance_id="3",name="chat-3",fleet="chat",model="old",digest="o"}', 1, now - STEP))
    return "".join(f"{series} {value} {at}\n" for series, value, at in sorted(rows))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with with_series(tmp_path_factory.mktemp("queries"), samples(int(time.time()))) as url:
        yield Prometheus(url)


def by(prometheus: Prometheus, label: str, expression: str) -> dict[str, float]:
    return {one.labels[label]: one.value for one in prometheus.query(expression)}


def test_a_models_hour_is_that_of_all_its_instances(prometheus: Prometheus) -> None:
    found = by(prometheus, "model", queries.usd_per_hour_by_model())

    assert found == pytest.approx({"big": 0.8, "small": 0.1, "old": 0.1, "quick": 0.1, "quiet": 0.1})


def test_a_million_tokens_cost_the_idle_instances_too(prometheus: Prometheus) -> None:
    models = by(prometheus, "model", queries.usd_per_million_tokens_by_model())
    instances = by(prometheus, "name", queries.usd_per_million_tokens())

    # 120,000 tokens an hour of the one model for $0.80, 60,000 of the other for $0.10.
    assert models["big"] == pytest.approx(0.8 / 0.12, rel=0.05)
    assert models["small"] == pytest.approx(0.1 / 0.06, rel=0.05)
    assert models["quick"] == pytest.approx(30 * 0.1 / 0.12, rel=0.05)  # whose market charges 30 hours in one of ours
    assert instances.keys() == {"chat-1", "chat-3", "chat-4"}
    assert instances["chat-4"] == pytest.approx(30 * 0.1 / 0.12, rel=0.05)
    assert instances["chat-1"] == pytest.approx(0.3 / 0.12, rel=0.05)


def test_a_few_tokens_have_no_price_of_a_million(prometheus: Prometheus) -> None:
    assert "quiet" not in by(prometheus, "model", queries.usd_per_million_tokens_by_model())
    assert "chat-5" not in by(prometheus, "name", queries.usd_per_million_tokens())


def test_an_instance_that_was_rented_for_a_part_of_the_window_is_charged_for_that_part(tmp_path: Path) -> None:
    now, rows = int(time.time()), []
    for number in range(11):  # ten minutes, 20,000 tokens
        at = now - (10 - number) * STEP
        who = 'instance_id="1",name="chat-1",fleet="chat"'
        rows.append((f'vast_instance_cost_per_hour{{{who},job="exporter",instance="a"}}', 0.60, at))
        rows += [(f"vllm:{kind}_tokens_total{{{who}}}", 1000 * number, at) for kind in ("prompt", "generation")]
    text = "".join(f"{series} {value} {at}\n" for series, value, at in sorted(rows))

    with with_series(tmp_path, text) as url:
        found = by(Prometheus(url), "name", queries.usd_per_million_tokens())

    assert found["chat-1"] == pytest.approx(0.10 / 0.02, rel=0.15)


def test_the_inventory_keeps_its_labels_and_its_value_is_the_price(tmp_path: Path) -> None:
    now, exporter = int(time.time()), 'job="exporter",instance="a"'
    who = f'instance_id="1",name="chat-1",fleet="chat",{exporter}'
    rows: list[tuple[str, float, float]] = [
        (f'vast_instance_info{{{who},location="US",status="running"}}', 1, now - 30)
    ]
    rows.append((f"vast_instance_cost_per_hour{{{who}}}", 0.6, now - 30))
    text = "".join(f"{series} {value} {at}\n" for series, value, at in sorted(rows))

    with with_series(tmp_path, text) as url:
        [found] = Prometheus(url).query(queries.priced_inventory())

    assert (found.labels["location"], found.labels["status"], found.value) == ("US", "running", 0.6)
