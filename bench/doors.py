"""The door against the ready-made chain in its place, vmauth in front of a vmagent that aggregates: what gets in, and what
is stored of an outage that is caught up. Senders, doors and Prometheus share this machine's cores.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import yaml

from bench._figures import figure
from bench._sending import SENDERS, post, rate
from bootstrap.cache import cache_folder
from monitoring.prometheus import Prometheus
from monitoring.receiver.app import PATH
from monitoring.receiver.wire import Written
from offline import golang
from providers.identity.metrics_credentials import Reporter
from sandbox.services.monitoring import Monitoring
from sandbox.services.ports import LOOPBACK, choose
from sandbox.services.programs import Program
from sandbox.settings import STACK_CONFIG
from tests.doubles.receiver import Reports
from tools.machine import paths

SCRAPE_SECONDS, OUTAGE_SECONDS = 5, 600
AGGREGATION = [{"match": '{__name__!=""}', "interval": "5s", "outputs": ["last"], "keep_metric_names": True}]
VMAUTH = golang.Program(
    "github.com/VictoriaMetrics/VictoriaMetrics/app/vmauth",
    ("github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version", "vmauth-1.131.0"),
)
Client = Callable[[int], httpx.Client]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name:
        folder = Path(name)
        with Monitoring(folder / "monitoring", STACK_CONFIG) as monitoring, chain(folder, monitoring) as through_chain:
            (folder / "ca.pem").write_text(monitoring.ca_pem)
            doors = [
                Reports(monitoring.urls["door"], folder / "ca.pem", Reporter(str(n), f"chat-{n}", "abc"))
                for n in range(SENDERS)
            ]
            measure(Prometheus(monitoring.urls["prometheus"]), lambda number: doors[number].client(), through_chain)


def measure(prometheus: Prometheus, door: Client, through_chain: Client) -> None:
    """Compare the two ways in."""
    rates = {"door": rate(door, "door"), "chain": rate(through_chain, "chain")}
    kept = {name: caught_up(prometheus, way, name) for name, way in (("door", door), ("chain", through_chain))}
    print(
        ", ".join(f"{name}: {rates[name]:,.0f} samples a second, {kept[name]:.0%} kept" for name in rates), flush=True
    )
    figure(
        "samples a second through the door over the chain of vmauth and vmagent",
        rates["door"] / rates["chain"],
        "",
        0.5,
        "more",
    )
    figure("samples of a caught-up outage that are stored, door", kept["door"], "", 1, "more")


def caught_up(prometheus: Prometheus, client: Client, mark: str) -> float:
    """Send at once what a host kept through ten minutes; return the share that is stored under its own time."""
    times = [time.time() - OUTAGE_SECONDS + step for step in range(0, OUTAGE_SECONDS, SCRAPE_SECONDS)]
    with client(0) as http:
        for at in times:
            post(http, [sample(f"outage-{mark}", at)])
    time.sleep(3 * SCRAPE_SECONDS)  # the chain passes on at its own interval
    found = prometheus.query(f'vllm:num_requests_running{{engine="outage-{mark}"}}[{OUTAGE_SECONDS + 60}s]')
    stored = {round(at) for series in found for at, _value in series.points}
    return len(stored & {round(at) for at in times}) / len(times)


def sample(engine: str, at: float) -> Written:
    """Return one sample of a series of vLLM's."""
    labels = {
        "__name__": "vllm:num_requests_running",
        "engine": engine,
        "instance": "127.0.0.1:8000",
        "job": "vllm",
        "model_name": "tiny",
    }
    return Written(tuple(labels.items()), ((1.0, int(at * 1000)),))


@contextlib.contextmanager
def chain(folder: Path, monitoring: Monitoring) -> Iterator[Client]:
    """Run vmauth, one token a sender, in front of a vmagent that stamps its own time, as decision 0005 weighs it."""
    front, own, agent = choose(3)
    tokens = [f"token-of-sender-{number}-of-the-bench" for number in range(SENDERS)]
    upstream = f"http://{LOOPBACK}:{agent}?extra_label=instance_id="
    users = [
        {"bearer_token": token, "url_map": [{"src_paths": [PATH], "url_prefix": f"{upstream}{number}"}]}
        for number, token in enumerate(tokens)
    ]
    for name, document in (("users.yml", {"users": users}), ("aggregation.yml", AGGREGATION)):
        (folder / name).write_text(yaml.safe_dump(document))
    home = folder / "monitoring"
    programs = [
        Program(
            "vmagent",
            [
                f"-httpListenAddr={LOOPBACK}:{agent}",
                f"-remoteWrite.url={monitoring.urls['prometheus']}{PATH}",
                "-remoteWrite.forcePromProto",
                f"-remoteWrite.tmpDataPath={folder / 'queue'}",
                f"-remoteWrite.streamAggr.config={folder / 'aggregation.yml'}",
                "-remoteWrite.flushInterval=1s",
            ],
            agent,
            "/health",
            folder,
        ),
        Program(
            "vmauth",
            [
                f"-auth.config={folder / 'users.yml'}",
                f"-httpListenAddr={LOOPBACK}:{front}",
                "-tls",
                f"-tlsCertFile={home / 'door.crt'}",
                f"-tlsKeyFile={home / 'door.key'}",
                f"-httpInternalListenAddr={LOOPBACK}:{own}",
            ],
            front,
            f"https://{LOOPBACK}:{own}/metrics",
            folder,
            str(vmauth()),
            scheme="https",
        ),
    ]
    try:
        for program in programs:
            program.start()
            program.wait()
        yield lambda number: httpx.Client(
            base_url=f"https://{LOOPBACK}:{front}",
            verify=False,
            headers={"Authorization": f"Bearer {tokens[number]}"},
            timeout=60,
        )
    finally:
        for program in programs:
            program.stop()


def vmauth() -> Path:
    """Return vmauth, built of the module that pins vmagent."""
    where = paths.find(Path(__file__).resolve().parents[1], os.environ)
    module = where.monitoring_modules / "victoriametrics"
    target = cache_folder() / "bench" / paths.digest([module / "go.sum"]) / "vmauth"
    if not target.is_file():
        go = golang.find_go(where, os.environ, "vmauth is to be built", "vmauth")
        golang.build(go, module, VMAUTH, target, os.environ)
    return target


if __name__ == "__main__":
    main()
