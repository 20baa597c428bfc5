"""The sandbox's monitoring: four real programs that know each other, and nothing left when they end."""

import os
import socket
from pathlib import Path

import httpx
import pytest

from monitoring import queries
from monitoring.alerts import ALERTS
from monitoring.prometheus import Prometheus
from sandbox.services.child import ServiceError
from sandbox.services.monitoring import Monitoring, MonitoringPorts
from sandbox.services.ports import choose
from sandbox.settings import STACK_CONFIG
from tests.doubles.until import until

pytestmark = [pytest.mark.monitoring, pytest.mark.xdist_group("monitoring")]


def programs_of(folder: Path) -> list[int]:
    """Return the processes that name a folder in their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(int(process.name))
    return [process for process in found if process != os.getpid()]


def test_rules_targets_and_alerts_reach_where_they_should(tmp_path: Path) -> None:
    home = tmp_path / "monitoring"
    monitoring = Monitoring(home, STACK_CONFIG)
    monitoring.start()
    try:
        prometheus = Prometheus(monitoring.urls["prometheus"])
        until(lambda: len(prometheus.query("up == 1")) == 4)
        rules = httpx.get(monitoring.urls["prometheus"] + "/api/v1/rules").json()["data"]["groups"]
        known = [rule["name"] for group in rules for rule in group["rules"]]
        alerts = monitoring.urls["alertmanager"] + "/api/v2/alerts"
        until(lambda: "Watchdog" in [alert["labels"]["alertname"] for alert in httpx.get(alerts).json()])
        assert {alert.name for alert in ALERTS} <= set(known)
        assert len(programs_of(home)) == 3  # the exporter keeps nothing there
    finally:
        monitoring.stop()
    assert programs_of(home) == []
    assert not home.exists()


def test_prometheus_reads_a_controller_while_there_is_one(tmp_path: Path) -> None:
    with Monitoring(tmp_path / "monitoring", STACK_CONFIG) as monitoring:
        prometheus = Prometheus(monitoring.urls["prometheus"])
        until(lambda: len(prometheus.query("up == 1")) == 4)
        assert prometheus.query(queries.controllers()) == []

        exporter = monitoring.urls["exporter"].partition("://")[2]  # a program that answers at /metrics
        monitoring.scrape_controller(exporter)
        until(lambda: [one.value for one in prometheus.query(queries.controllers())] == [1])
        monitoring.scrape_controller(None)
        until(lambda: prometheus.query(queries.controllers()) == [])


def test_a_port_in_use_is_named_with_the_option_that_moves_it(tmp_path: Path) -> None:
    [port] = choose(1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ServiceError, match=rf"Port {port} is in use.*--alertmanager-port PORT"):
            Monitoring(tmp_path / "monitoring", STACK_CONFIG, MonitoringPorts(alertmanager=port))


def test_what_cannot_start_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "monitoring"
    missing = Monitoring(home, tmp_path / "nothing.yaml")

    with pytest.raises(ServiceError, match=r"exporter did not get ready.*is no config file of a stack"):
        missing.start()

    assert programs_of(home) == []
    assert not home.exists()
