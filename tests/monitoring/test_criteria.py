"""Verdicts: pass, fail, no data; the exit status; and the real Prometheus with real numbers in it."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.main import main
from monitoring.criteria import verdicts as criteria
from monitoring.prometheus import Prometheus, PrometheusError
from tests.doubles.prometheus import with_series


class Answers(Prometheus):
    """A Prometheus that knows the values of some measures; `counts` is every count."""

    def __init__(self, values: dict[str, float | None], count: float = 10.0) -> None:
        measures = [measure for rows in criteria.criteria().values() for measure in rows]
        self.known: dict[str, float | None] = dict.fromkeys((one.count for one in measures), count)
        self.known |= {one.query: values.get(one.name) for one in measures}

    def number(self, expression: str) -> float | None:
        return self.known[expression]


GOOD: dict[str, float | None] = {"p50": 40.0, "p95": 1.5, "dearest": 0.3}


@pytest.mark.parametrize(
    ("values", "count", "words", "status"),
    [
        (GOOD, 10, ["pass", "pass", "pass"], 0),
        (GOOD | {"dearest": 0.5}, 10, ["pass", "pass", "fail"], 1),
        (GOOD | {"p95": 200.0}, 10, ["fail", "fail", "pass"], 1),
        (GOOD | {"p95": None}, 10, ["no data", "no data", "pass"], 2),
        (GOOD | {"p50": None, "dearest": 9.0}, 10, ["no data", "pass", "fail"], 1),
        (GOOD, 0, ["no data", "no data", "no data"], 2),
    ],
)
def test_a_verdict_needs_samples_and_a_bound_is_out_of_bounds(
    values: dict[str, float | None], count: float, words: list[str], status: int
) -> None:
    verdicts = criteria.judge(Answers(values, count))

    assert [verdict.word for verdict in verdicts] == words
    assert criteria.status(verdicts) == status


def test_a_verdict_says_value_bound_count_and_query() -> None:
    told = "\n".join(line for verdict in criteria.judge(Answers(GOOD)) for line in criteria.lines(verdict))

    assert "pass     provisioning: p50 40.0 s, p95 1.5 s (under 180.0 s; 10 provisioned instances)" in told
    assert "pass     cost: dearest $0.300/h (under $0.500/h; 10 rented instances)" in told
    assert "p95: histogram_quantile(0.95, sum by (le)" in told


def test_a_latency_of_milliseconds_is_not_shown_as_nought() -> None:
    latency = criteria.judge(Answers({**GOOD, "p95": 0.0042}))[1]

    assert criteria.measured(latency).startswith("p95 4.2 ms (under 2.00 s;")


@pytest.mark.parametrize("body", [b"<html>", b'{"status":"success"}', b'{"status":"error","error":"parse error"}'])
def test_what_is_no_answer_of_prometheus_is_said(body: bytes) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, content=body)

    with pytest.raises(PrometheusError, match=r"is no Prometheus|refuses `up`"):
        Prometheus("http://there", httpx.Client(transport=httpx.MockTransport(answer))).query("up")


def test_no_prometheus_is_one_sentence(capsys: Any) -> None:
    assert main(["criteria", "--prometheus", "http://127.0.0.1:1"]) == 3
    assert capsys.readouterr().err.startswith("gpu-fleet criteria: Prometheus does not answer at http://127.0.0.1:1")


@pytest.mark.monitoring
def test_a_real_prometheus_is_judged_by_what_it_holds(tmp_path: Path, capsys: Any) -> None:
    began = time.time() - 1200
    rows = []
    for step in range(80):
        at = f"{began + 15 * step:.3f}"
        requests = min(step, 40)
        for edge, count in (("0.3", requests), ("2.0", requests), ("5.0", requests), ("+Inf", requests)):
            rows.append(f'vllm:e2e_request_latency_seconds_bucket{{instance_id="7",le="{edge}"}} {count} {at}')
        rows.append(f'vllm:e2e_request_latency_seconds_count{{instance_id="7"}} {requests} {at}')
        for edge, count in (("30.0", 0), ("60.0", 3), ("180.0", 4), ("+Inf", 4)):
            name = "vast_instance_provisioning_duration_seconds_bucket"
            rows.append(f'{name}{{phase="all",le="{edge}"}} {count} {at}')
        rows.append(f'vast_instance_provisioning_duration_seconds_count{{phase="all"}} 4 {at}')
        rows.append(f'vast_instance_cost_per_hour{{instance_id="7"}} 0.61 {at}')

    with with_series(tmp_path, "".join(f"{row}\n" for row in sorted(rows))) as url:
        status = main(["criteria", "--prometheus", url, "--window", "1h"])
    told = capsys.readouterr().out.splitlines()

    assert status == 1
    assert [line.split()[0] for line in told if not line.startswith(" ")] == ["pass", "pass", "fail"]
    assert "4 provisioned instances" in told[0]
    assert "dearest $0.610/h" in "\n".join(told)
