"""Monitoring joins a sandbox that runs: older hosts reach it, a failure leaves the rest as it was, joining twice is once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from monitoring import queries
from monitoring.prometheus import Prometheus
from sandbox.daemon import Sandbox
from sandbox.errors import SandboxError
from sandbox.hosts.host import NamespaceHost
from sandbox.market.server import KEY
from sandbox.observability import Observability
from sandbox.services.child import ServiceError
from sandbox.settings import Settings, folders
from tests.controller.api.test_applied_offers import OUTPUT
from tests.doubles.emulated import USER_KEY, Login
from tests.doubles.pulumi_command import path_with_pulumi
from tests.doubles.raw_rents import rented
from tests.doubles.until import until

RECEIVER = "https://metrics.sandbox.internal:9443/api/v1/write"
SERVICES = {"prometheus", "alertmanager", "exporter", "door", "kubernetes"}


def test_what_hosts_are_told_of_the_receiver_stands_before_it_answers(tmp_path: Path) -> None:
    watchers = Observability(Settings(tmp_path, tmp_path, door_port=18807))

    assert watchers.outward == {"metrics.sandbox.internal:9443": ("127.0.0.1", 18807)}
    assert watchers.ca_pem.startswith("-----BEGIN CERTIFICATE-----")
    assert watchers.urls == {}


def test_without_its_programs_monitoring_does_not_join_and_leaves_nothing(tmp_path: Path) -> None:
    watchers = Observability(Settings(tmp_path, tmp_path))

    with patch.dict(os.environ, PATH=""), pytest.raises(ServiceError, match=r"missing\. `make setup` builds it"):
        watchers.join()

    assert watchers.urls == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.host
@pytest.mark.monitoring
@pytest.mark.xdist_group("monitoring")
def test_a_host_that_is_older_than_the_receiver_reaches_it(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("emulated hosts are tested as root")
    (tmp_path / "state").mkdir()
    sandbox = Sandbox(Settings(tmp_path / "state", folders(os.environ)[1], vllm="double", time_scale=1000))
    sandbox.start()
    try:
        host = older_host(sandbox)
        assert sandbox.status()["monitoring"] == {}
        with patch.dict(os.environ, PATH="/usr/bin:/bin"), pytest.raises(SandboxError, match="make setup"):
            sandbox.join_monitoring()
        assert sandbox.status()["market"]["instances"] != []

        sandbox.join_monitoring()

        login = Login(host)
        assert login.run(f"curl -sS -X POST -o /dev/null -w '%{{http_code}}' {RECEIVER}") == (0, "401")
        urls = sandbox.status()["monitoring"]
        assert urls.keys() == SERVICES
        sandbox.join_monitoring()
        assert sandbox.status()["monitoring"] == urls
        prometheus_reads_the_controller(sandbox, tmp_path)
    finally:
        sandbox.stop()
    assert not (tmp_path / "state" / "monitoring").exists()
    assert not (tmp_path / "state" / "kubernetes").exists()


def prometheus_reads_the_controller(sandbox: Sandbox, folder: Path) -> None:
    """Start a controller, and end it: a target of Prometheus meanwhile."""
    prometheus = Prometheus(sandbox.status()["monitoring"]["prometheus"])
    applied = "stack output elastic --json --show-secrets --stack dev"
    path = path_with_pulumi(folder / "bin", {applied: (0, json.dumps(OUTPUT), "")})
    sandbox.run_controller("dev", {"PATH": path, "PULUMI_BACKEND_URL": "file:///nowhere"})
    until(lambda: [one.value for one in prometheus.query(queries.controllers())] == [1], seconds=60)
    sandbox.stop_controller()
    assert sandbox.status()["controller"] is None
    until(lambda: prometheus.query(queries.controllers()) == [], seconds=60)


def older_host(sandbox: Sandbox) -> NamespaceHost:
    """Rent an instance and return its host, which runs."""
    url = sandbox.status()["market"]["url"]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http:
        http.post("/api/v0/ssh/", json={"ssh_key": USER_KEY.public.strip()}).raise_for_status()
        number = rented(http)
    [contract] = [one for one in sandbox.market.all() if one.id == number]
    until(lambda: contract.host is not None and reachable(contract.host), seconds=60)
    assert isinstance(contract.host, NamespaceHost)
    return contract.host


def reachable(host: object) -> bool:
    """Say whether the host takes logins."""
    assert isinstance(host, NamespaceHost)
    try:
        return Login(host).run("true")[0] == 0
    except OSError:
        time.sleep(0.1)
        return False
