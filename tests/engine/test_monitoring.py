"""The whole of monitoring once, with the real vLLM: what reports, what is asked, what is drawn, what is judged."""

import contextlib
import json
import math
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from monitoring import queries
from monitoring.criteria.verdicts import judge
from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.panels import Panel, runnable
from monitoring.prometheus import Prometheus
from sandbox.daemon import Sandbox
from sandbox.services.ports import choose
from sandbox.settings import Settings, folders
from tests.doubles.cloud import LIMITS, REPO, TIME_SCALE
from tests.doubles.pulumi_stack import Engine, sandbox_config, watching_config
from tests.doubles.until import until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.host,
    pytest.mark.vllm,
    pytest.mark.monitoring,
    pytest.mark.timeout(900),
]
MOST_SERIES = 60  # of one panel, with one instance


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    """A sandbox with monitoring, and the config of the stack that its exporter watches."""
    if os.getuid() != 0:
        pytest.skip("emulated hosts are tested as root")
    market, store = choose(2)
    config = sandbox_config(f"http://127.0.0.1:{market}", TIME_SCALE, f"http://127.0.0.1:{store}")
    config |= watching_config(str(tmp_path / "kubeconfig"))
    config["gpu-fleet:limits"] = LIMITS
    config["gpu-fleet:budget"] = {"usdPerDay": 100_000, "usdPerMonth": 1_000_000}  # at the market's pace here
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.test.yaml").write_text(yaml.safe_dump({"config": config}))
    settings = Settings(
        tmp_path / "state",
        folders(os.environ)[1],
        time_scale=TIME_SCALE,
        market_port=market,
        store_port=store,
        monitoring=True,
        stack_config=tmp_path / "Pulumi.test.yaml",
    )
    sandbox = Sandbox(settings)
    sandbox.start()
    kubeconfig = yaml.safe_load((REPO / "sandbox/kubeconfig.yaml").read_text())
    kubeconfig["clusters"][0]["cluster"]["server"] = sandbox.status()["monitoring"]["kubernetes"]
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    try:
        yield sandbox, config
    finally:
        sandbox.stop()


def problems(panel: Panel, prometheus: Prometheus) -> list[str]:
    """Say what is wrong with what a panel's queries answer."""
    found = []
    for query in panel.queries:
        series = prometheus.query(runnable(query.expression))
        if not series and not panel.sparse:
            found.append(f"{panel.title}: no data: {query.expression}")
        if len(series) > MOST_SERIES:
            found.append(f"{panel.title}: {len(series)} series")
        wanted = {*re.findall(r"\{\{(\w+)\}\}", query.legend), *panel.columns}
        for one in series:
            if not math.isfinite(one.value):
                found.append(f"{panel.title}: {one.value}: {query.expression}")
            if lacks := wanted - set(one.labels):
                found.append(f"{panel.title}: no label {sorted(lacks)}")
    return found


def test_every_panel_criterion_and_the_report_have_measured_data(
    watched: tuple[Sandbox, dict[str, Any]], engine: Engine, tmp_path: Path
) -> None:
    sandbox, config = watched
    prometheus = Prometheus(sandbox.status()["monitoring"]["prometheus"])
    stack = engine.stack(REPO)
    stack.write_config(config)
    told = stack.up().text
    assert "metrics go to https://metrics.sandbox.internal:9443 every 5 s" in told
    assert not [
        key for key in ("sandbox-metrics-key", "sandbox-cluster-token") if key in told + json.dumps(stack.state())
    ]
    outputs = stack.outputs()
    (tmp_path / "ca.pem").write_text(outputs["caCertificate"])
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    counted = "sum(vllm:e2e_request_latency_seconds_count)"
    until(lambda: prometheus.number(counted) is not None)
    with httpx.Client(base_url=outputs["endpoints"]["chat-0"], verify=trust, timeout=120) as client:
        client.headers["Authorization"] = f"Bearer {outputs['tokens']['chat-0']}"
        body = {"model": "tiny", "prompt": "Hello", "max_tokens": 8}
        for _ in range(10):
            assert client.post("/v1/completions", json=body).status_code == 200
    until(lambda: (prometheus.number(counted) or 0) >= 11)
    panels = [panel for board in BOARDS for panel in board.panels]

    def left() -> list[str]:
        return [one for panel in panels for one in problems(panel, prometheus)]

    with contextlib.suppress(TimeoutError):
        until(lambda: left() == [], seconds=90)
    assert left() == []

    bought = {one.labels["part"]: one.value for one in prometheus.query(queries.worth("usd"))}
    assert bought.keys() == {"failed", "starting", "idle", "used", "unseen"}
    assert bought["starting"] > 0

    verdicts = judge(prometheus)
    assert [verdict.name for verdict in verdicts] == ["provisioning", "latency", "cost"]
    # How long a boot and an answer take depends on what else this machine does; that they were measured does not.
    assert not [verdict.name for verdict in verdicts if verdict.word == "no data"]
    assert verdicts[2].word == "pass"
    assert verdicts[1].rows[0][2] >= 10
    report = subprocess.run(
        [sys.executable, "-m", "cli", "report", "--out", str(tmp_path / "report.html")],
        env=os.environ | {"GPU_FLEET_PROMETHEUS": sandbox.status()["monitoring"]["prometheus"]},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len([line for line in report.stdout.splitlines() if line.startswith(("pass ", "fail "))]) == 3
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") >= len([panel for panel in panels if not panel.sparse and panel.kind != "table"]) - 1
    assert "sandbox-metrics-key" not in page
    refused = prometheus.query("sum by (reason, instance_id) (vast_door_refused_total) > 0")
    assert refused == []

    assert "unchanged" in stack.up("--refresh", "--expect-no-changes").text
    stack.destroy()
    assert sandbox.status()["market"]["instances"] == []
