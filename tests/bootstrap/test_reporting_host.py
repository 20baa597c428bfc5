"""A host that reports: real agent and vmagent on it, the real receiver and Prometheus behind it. With the double of vLLM."""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.kit import build_kit, installed_programs
from bootstrap.metrics_agent import Reporting
from components.metrics_kit import libraries
from monitoring.prometheus import Prometheus, Series
from providers.identity.metrics_credentials import Reporter, password_for
from sandbox.hosts.backend import NamespaceHosts
from sandbox.services.monitoring import KEY, NAME_FOR_HOSTS, PORT_FOR_HOSTS, Monitoring
from sandbox.settings import STACK_CONFIG
from tests.doubles.prometheus import longest_gap
from tests.doubles.rented import STORE, Rented, Things, rent
from tests.doubles.until import until

pytestmark = [
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.xdist_group("reporting-host"),
    pytest.mark.rotating(of=4),
]

REPORTER = Reporter("4711", "chat-0", "abc")
PATIENCE_SECONDS = 90  # beside other tests; a receiver that cannot be reached is tried again after 15 s
PASSWORD = password_for(KEY, REPORTER.user)
REPORTING = Reporting(f"https://{NAME_FOR_HOSTS}:{PORT_FOR_HOSTS}", REPORTER.user, PASSWORD, 1)


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    with Monitoring(tmp_path_factory.mktemp("reporting") / "monitoring", STACK_CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def host(
    hosts: NamespaceHosts, things: Things, monitoring: Monitoring, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rented]:
    folder = tmp_path_factory.mktemp("kit")
    programs = {**installed_programs(), "vmagent": Path(shutil.which("vmagent") or "")}
    kit = build_kit(folder, programs, extra=libraries())
    things.blobs.add(kit, folder)
    receiver = f"{NAME_FOR_HOSTS}:{PORT_FOR_HOSTS}"
    outward = {f"{STORE}:80": ("127.0.0.1", things.blobs.port), receiver: ("127.0.0.1", monitoring.door_port)}
    rented = rent(hosts, things, outward=outward, ca_pem=monitoring.ca_pem)
    rented.spec = replace(rented.spec, kit=kit, reporting=REPORTING)
    rented.converge()
    yield rented
    rented.host.destroy()


def stored(monitoring: Monitoring, metric: str, **labels: str) -> list[Series]:
    chosen = ",".join(f'{name}="{value}"' for name, value in {"instance_id": "4711", **labels}.items())
    return Prometheus(monitoring.urls["prometheus"]).query(f"{metric}{{{chosen}}}")


def test_what_a_host_says_of_itself_and_of_vllm_arrives_under_its_own_name(
    host: Rented, monitoring: Monitoring
) -> None:
    assert any(line.startswith("report: metrics go to https://metrics.sandbox.internal") for line in host.reported)
    # The first thing that is heard is that it starts: the agent is there before vLLM.
    until(
        lambda: any(row.value == 1 for row in stored(monitoring, "vast_instance_state", state="ready")),
        seconds=PATIENCE_SECONDS,
    )
    until(lambda: bool(stored(monitoring, "vllm:num_requests_running")), seconds=PATIENCE_SECONDS)

    [state] = stored(monitoring, "vast_instance_state", state="ready")
    assert (state.value, state.labels["name"], state.labels["fleet"]) == (1, "chat-0", "chat")
    until(lambda: bool(stored(monitoring, "vast_instance_bootstrap_seconds")), seconds=PATIENCE_SECONDS)
    took = {row.labels["phase"]: row.value for row in stored(monitoring, "vast_instance_bootstrap_seconds")}
    assert took.keys() == {"preflight", "install", "fetch weights", "start"}
    assert 0 < took["start"] < 300
    assert {row.value for row in stored(monitoring, "vast_gpu_temperature_celsius")} != set()
    assert stored(monitoring, "vast_certificate_end_timestamp_seconds")[0].value > time.time()

    before = stored(monitoring, "vllm:e2e_request_latency_seconds_count")
    host.ask()
    until(lambda: stored(monitoring, "vllm:e2e_request_latency_seconds_count")[0].value > before[0].value, seconds=30)
    until(lambda: stored(monitoring, "vast_instance_admitted_requests_total", code="200")[0].value > 0, seconds=30)
    refused = Prometheus(monitoring.urls["prometheus"]).query('vast_door_refused_total{instance_id="4711"} > 0')
    assert refused == []


def test_a_second_time_there_is_nothing_to_do_and_no_password_in_any_process(host: Rented) -> None:
    assert host.converge().changed == []

    listed = host.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'; cat /var/log/gpu-fleet/*")
    assert REPORTER.user in listed
    assert PASSWORD not in listed
    assert host.run("stat -c %a /opt/gpu-fleet/etc/metrics.password") == "600"


def test_agent_and_vmagent_stay_small(host: Rented) -> None:
    sizes = "for p in $(pgrep -f 'monitoring[.]agent|bin/[v]magent'); do grep ^Pss: /proc/$p/smaps_rollup; done"
    kilobytes = [int(line.split()[1]) for line in host.run(sizes).splitlines()]

    assert len(kilobytes) == 2
    assert sum(kilobytes) <= 64_000


@pytest.mark.parametrize(("end", "bound"), [("TERM", 5), ("KILL", 15)])
def test_an_outage_of_the_receiver_loses_nothing_and_a_kill_ten_seconds(
    host: Rented, monitoring: Monitoring, end: str, bound: float
) -> None:
    metric = f'vast_disk_total_bytes{{instance_id="{REPORTER.instance_id}"}}'
    until(lambda: bool(stored(monitoring, "vast_disk_total_bytes")), seconds=PATIENCE_SECONDS)
    prometheus = Prometheus(monitoring.urls["prometheus"])
    monitoring.stop_one("door")
    down_from = time.time()
    host.run(f"sleep 20; pkill -{end} -f bin/[v]magent; sleep 3")  # it ends while nobody takes what it has
    monitoring.start_one("door")

    assert longest_gap(prometheus, metric, down_from) > 20
    until(
        lambda: longest_gap(prometheus, metric, down_from) <= bound, seconds=60
    )  # with the supervisor's restart and the way here in it


def test_a_credential_that_is_not_good_any_more_is_kept_and_sent_with_the_next(
    host: Rented, monitoring: Monitoring
) -> None:
    host.run("echo wrong-password > /opt/gpu-fleet/etc/metrics.password; sleep 6")

    report = host.converge()

    assert [change.partition(":")[0] for change in report.changed] == ["report"]
    prometheus = Prometheus(monitoring.urls["prometheus"])
    silent = f'vast_disk_total_bytes{{instance_id="{REPORTER.instance_id}"}}[10s]'
    until(
        lambda: bool(prometheus.query(f"count_over_time({silent}) >= 9")), seconds=60
    )  # also what was refused meanwhile


def test_an_agent_that_was_killed_comes_back(host: Rented) -> None:
    before = host.run("pgrep -f monitoring[.]agent")
    host.run("pkill -9 -f monitoring[.]agent")

    until(lambda: host.run("pgrep -f monitoring[.]agent") not in {"", before}, seconds=20)
    until(lambda: host.facts().agent_started is not None, seconds=20)
    assert host.converge().changed == []


def test_reporting_is_stopped_where_it_is_not_wanted_any_more_and_comes_back(host: Rented) -> None:
    report = host.converge(reporting=None)

    assert [change.partition(":")[0] for change in report.changed] == ["stop reporting"]
    assert host.run("pgrep -f 'monitoring[.]agent|bin/[v]magent'") == ""
    assert host.run("ls /opt/gpu-fleet/etc/metrics.password /workspace/metrics 2>/dev/null") == ""
    assert host.ask().text
    assert host.converge().changed == []

    assert [change.partition(":")[0] for change in host.converge(reporting=REPORTING).changed] == ["report"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://door.nowhere.invalid:9443", r"door\.nowhere\.invalid:9443: .*(not known|name resolution)"),
        (f"https://{NAME_FOR_HOSTS}:1", rf"{NAME_FOR_HOSTS}:1: .*refused"),
    ],
)
def test_a_receiver_that_cannot_be_reached_from_the_host_is_said_and_metrics_wait(
    host: Rented, url: str, why: str
) -> None:
    host.reported.clear()
    host.converge(reporting=replace(REPORTING, url=url))

    assert [line for line in host.reported if re.search(f"cannot reach the receiver: {why}", line)]
    assert host.ask().text
    assert host.converge(reporting=REPORTING).changed


def test_a_host_that_cannot_report_serves_all_the_same_and_that_is_drift(host: Rented) -> None:
    host.run("mv /opt/gpu-fleet/kit/bin/vmagent /opt/gpu-fleet/kit/bin/gone")
    host.run("pkill -f bin/[v]magent")  # alone: beside mv, the pattern matches the shell that runs both
    try:
        until(lambda: host.facts().vmagent_started is None, seconds=20)
        host.reported.clear()
        host.converge()
        assert any("no metrics are reported" in line for line in host.reported)
        assert host.ask().text
    finally:
        host.run("mv /opt/gpu-fleet/kit/bin/gone /opt/gpu-fleet/kit/bin/vmagent")
    until(lambda: host.facts().vmagent_started is not None, seconds=20)
