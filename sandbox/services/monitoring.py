"""The sandbox's monitoring: the real Prometheus and Alertmanager on loopback, with this project's rules, exporter and
receiver.

Their data lies in a folder of the sandbox's state, and `stop` removes it: a new sandbox has another market, and the
old history is not its own.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monitoring import alerts, prometheus_config, rules
from sandbox.services.certificate import Certificate, issue
from sandbox.services.child import ServiceError
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK, choose, free
from sandbox.services.programs import Program

NAME_FOR_HOSTS, PORT_FOR_HOSTS = "metrics.sandbox.internal", 9443
KEY = "sandbox-metrics-key"  # public by design, as Pulumi.local.yaml has it
CONTROLLER_FILE = "controller.json"  # the controller comes with the first elastic fleet
EVERY_SECONDS = 5  # between two scrapes, and two evaluations of the rules
REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class MonitoringPorts:
    """Ports on loopback; 0 means any free port. `door` is the receiver's."""

    prometheus: int = 0
    alertmanager: int = 0
    exporter: int = 0
    door: int = 0


class Monitoring:
    """Prometheus, Alertmanager, exporter and receiver with data in `home`. `stack_config` belongs to the watched stack.

    `certificate` is the receiver's, made anew by default.
    """

    def __init__(
        self,
        home: Path,
        stack_config: Path,
        ports: MonitoringPorts = MonitoringPorts(),
        certificate: Certificate | None = None,
    ) -> None:
        self._home = home
        wanted = (ports.prometheus, ports.alertmanager, ports.exporter, ports.door)
        for port, option in zip(wanted, ("prometheus", "alertmanager", "exporter", "door"), strict=True):
            if port and not free(port):
                raise ServiceError(taken(port, option, f"run `python -m sandbox up --{option}-port PORT`"))
        *spare, self._door_metrics = choose(len(wanted) + 1)
        prometheus, alertmanager, exporter, self.door_port = (port or spare.pop() for port in wanted)
        self._certificate = certificate or issue(NAME_FOR_HOSTS)
        self._programs = {
            "prometheus": self._prometheus(prometheus),
            "alertmanager": self._alertmanager(alertmanager),
            "exporter": self._exporter(exporter, stack_config, prometheus),
            "door": self._door(self.door_port, prometheus),
        }

    @property
    def urls(self) -> dict[str, str]:
        """Return the URL of each program, by name."""
        return {name: program.url for name, program in self._programs.items()}

    @property
    def ca_pem(self) -> str:
        """Return the certificate that hosts must trust to reach the receiver."""
        return self._certificate.ca

    def start(self) -> None:
        """Start the programs and return when all answer. On a failure, end them all and raise ServiceError."""
        self._write()
        try:
            for program in self._programs.values():
                program.start()
            for program in self._programs.values():
                program.wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the programs and remove their data. Stopping twice is harmless."""
        for program in self._programs.values():
            program.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> "Monitoring":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop_one(self, name: str) -> None:
        """End one program, as an outage would."""
        self._programs[name].stop()

    def start_one(self, name: str) -> None:
        """Start one program again. Raises ServiceError."""
        self._programs[name].start()
        self._programs[name].wait()

    def scrape_controller(self, address: str | None) -> None:
        """Let Prometheus read the controller's metrics at host:port from now on; None takes it out again."""
        file = self._home / CONTROLLER_FILE
        written = file.with_suffix(".new")
        written.write_text(json.dumps(prometheus_config.target_file([address] if address else [])))
        written.replace(file)  # Prometheus reads the whole of it, or the old one

    def _write(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)  # left by a killed sandbox
        self._home.mkdir(mode=0o700, parents=True)
        jobs = {name: program.url.partition("://")[2] for name, program in self._programs.items()}
        jobs["door"] = f"{LOOPBACK}:{self._door_metrics}"
        document = prometheus_config.prometheus(
            jobs,
            jobs["alertmanager"],
            ["records.yml", "alerts.yml"],
            f"{EVERY_SECONDS}s",
            {"cluster": "sandbox"},
            {"controller": str(self._home / CONTROLLER_FILE)},
        )
        documents: Mapping[str, dict[str, Any]] = {
            "prometheus.yml": document,
            "records.yml": rules.document(f"{EVERY_SECONDS}s"),
            "alerts.yml": alerts.document(str(REPO / alerts.RUNBOOKS)),
            "alertmanager.yml": prometheus_config.alertmanager(),
        }
        for name, content in documents.items():
            (self._home / name).write_text(yaml.safe_dump(content, sort_keys=False, width=1000))
        self.scrape_controller(None)
        for name, text in (("door.crt", self._certificate.chain), ("door.key", self._certificate.key)):
            (self._home / name).touch(mode=0o600)
            (self._home / name).write_text(text)

    def _prometheus(self, port: int) -> Program:
        arguments = [
            f"--config.file={self._home / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._home / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=2d",
            # Prometheus raises the first alerts before it knows Alertmanager; by default it repeats them only after a minute.
            f"--rules.alert.resend-delay={EVERY_SECONDS}s",
            "--log.level=warn",
        ]
        return Program("prometheus", arguments, port, "/-/ready", self._home)

    def _alertmanager(self, port: int) -> Program:
        arguments = [
            f"--config.file={self._home / 'alertmanager.yml'}",
            f"--storage.path={self._home / 'alerts'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        return Program("alertmanager", arguments, port, "/-/ready", self._home)

    def _exporter(self, port: int, stack_config: Path, prometheus: int) -> Program:
        arguments = ["-m", "monitoring.exporter", "--config", str(stack_config), "--port", str(port)]
        arguments += ["--every", str(EVERY_SECONDS), "--prometheus", f"http://{LOOPBACK}:{prometheus}"]
        return Program("exporter", arguments, port, "/metrics", self._home, sys.executable, {"PYTHONPATH": str(REPO)})

    def _door(self, port: int, prometheus: int) -> Program:
        arguments = ["-m", "monitoring.door", "--port", str(port), "--upstream", f"http://{LOOPBACK}:{prometheus}"]
        arguments += ["--certificate", str(self._home / "door.crt"), "--key", str(self._home / "door.key")]
        arguments += ["--metrics-port", str(self._door_metrics)]
        environment = {"PYTHONPATH": str(REPO), "METRICS_KEY": KEY}
        ready = f"http://{LOOPBACK}:{self._door_metrics}/metrics"
        return Program("door", arguments, port, ready, self._home, sys.executable, environment, scheme="https")
