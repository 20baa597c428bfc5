"""What hosts did, asked of a real Prometheus that holds known numbers."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.prometheus import Prometheus
from monitoring.worth.figures import Use, Work
from monitoring.worth.use import ask_use
from tests.doubles.prometheus import with_series

pytestmark = [pytest.mark.monitoring, pytest.mark.xdist_group("monitoring")]
NOW = int(time.time()) - 60
STEP, STEPS = 60, 120


def samples() -> str:
    """Two hours of two hosts of a stack and one of another; the first was unused and then changed its model in place."""
    rows: list[tuple[str, float, int]] = []
    for number in range(STEPS + 1):
        at, late = NOW - (STEPS - number) * STEP, number >= STEPS / 2
        for id_, fleet, stack in (("7", "chat", "abcd"), ("8", "chat", "abcd"), ("9", "chat", "other")):
            who = f'instance_id="{id_}",name="{fleet}-{id_}",fleet="{fleet}",stack_id="{stack}"'
            model = "qwen" if id_ == "7" and late else "llama"
            rows.append((f'vast_instance_state{{{who},state="ready"}}', float(id_ != "8" or late), at))
            rows.append((f'vast_model_info{{{who},model="{model}",digest="d"}}', 1, at))
            rows.append((f"vast_instance_unused_seconds_total{{{who}}}", 30.0 * number if id_ == "7" else 0.0, at))
            for reason, each in (("stop", 2.0), ("length", 1.0), ("abort", 5.0), ("error", 5.0)):
                served = f'{who},model_name="llama",finished_reason="{reason}"'
                rows.append((f"vllm:request_success_total{{{served}}}", each * number, at))
            for kind, each in (("prompt", 300.0), ("generation", 100.0)):
                rows.append((f'vllm:{kind}_tokens_total{{{who},model_name="llama"}}', each * number, at))
    return "".join(f"{series} {value} {at}\n" for series, value, at in sorted(rows))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with with_series(tmp_path_factory.mktemp("use"), samples()) as url:
        yield Prometheus(url)


def test_work_and_time_are_those_of_the_stack_in_the_window(prometheus: Prometheus) -> None:
    found = ask_use(prometheus, (NOW - STEPS * STEP, NOW), ["abcd", "gone"])

    assert found.work.keys() == {("chat", "llama")}
    work = found.work["chat", "llama"]
    assert work.requests == pytest.approx(2 * 3 * STEPS, rel=0.05)
    assert (work.tokens_in, work.tokens_out) == pytest.approx((2 * 300 * STEPS, 2 * 100 * STEPS), rel=0.05)
    assert found.ready.keys() == {7, 8}
    assert found.ready[7] == pytest.approx(STEPS * STEP, rel=0.05)
    assert found.ready[8] == pytest.approx(STEPS * STEP / 2, rel=0.05)
    assert found.unused[7] == pytest.approx(30 * STEPS, rel=0.05)
    assert found.models[8].keys() == {"llama"}
    assert found.models[7]["qwen"] == pytest.approx(STEPS * STEP / 2, rel=0.15)
    assert found.models[7]["llama"] == pytest.approx(STEPS * STEP / 2, rel=0.15)


def test_of_no_stack_in_particular_is_of_all(prometheus: Prometheus) -> None:
    found = ask_use(prometheus, (NOW - STEPS * STEP, NOW))

    assert found.ready.keys() == {7, 8, 9}
    assert found.work["chat", "llama"].requests == pytest.approx(3 * 3 * STEPS, rel=0.05)


def test_a_prometheus_without_hosts_knows_of_no_use(tmp_path: Path) -> None:
    with with_series(tmp_path, f'up{{job="exporter"}} 1 {NOW}\n') as url:
        assert ask_use(Prometheus(url), (NOW - 3600, NOW)) == Use()
        assert ask_use(Prometheus(url), (NOW - 3600, NOW)).work.get(("chat", "llama"), Work()).requests == 0
