"""What queries answer, asked of a real Prometheus that holds known numbers."""

import time
from collections.abc import Iterator

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
}
SCALES = {"a": 1, "b": 30}


def samples(now: int) -> str:
    """An hour of three instances; the third has just been changed from another model in place."""
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

    assert found == pytest.approx({"big": 0.8, "small": 0.1, "old": 0.1, "quick": 0.1})


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
