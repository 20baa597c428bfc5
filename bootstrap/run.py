"""Converge a host: facts -> preflight -> plan -> apply -> facts again, until the plan is empty. The host is handed in."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bootstrap.clock import Clock
from bootstrap.errors import (
    EngineDied,
    EngineRefused,
    FetchFailed,
    PreflightFailed,
    StepFailed,
    WeightsMissing,
)
from bootstrap.facts import Facts
from bootstrap.host import Host, Result
from bootstrap.manifest import PART_BYTES, Manifest
from bootstrap.order import gate_order, vllm_order
from bootstrap.plan import Action, Step, plan, preflight
from bootstrap.spec import EndpointSpec

Say = Callable[[str, str], None]

SCRIPTS = Path(__file__).parent / "scripts"
ETC = "/opt/gpu-fleet/etc"
RUN = "/run/gpu-fleet"
KIT = "/opt/gpu-fleet/kit"
INTERPRETERS = ("/opt/vllm/bin/python", "python3", "python")
CONNECTIONS = 4
FETCH_SECONDS = 3600.0
START_SECONDS = 900.0
LOOK_SECONDS = 15.0  # one look at a starting vLLM; between two of them the connection is known to be alive
ENDS_ALLOWED = 2  # an end by itself is the host's circumstances once, its fault twice
SUPERVISOR_SECONDS = 20.0


class Services(Protocol):
    """What the bootstrap needs from outside: URLs of blobs, and signatures of the fleet's CA."""

    def presign(self, sha256: str) -> str:
        """Return a URL by which a host may fetch a blob."""

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        """Return the certificate, PEM, for the public key of a host's request."""


@dataclass
class Report:
    """What converging took: seconds by phase, what was done, and the facts at the end."""

    timings: dict[str, float] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    facts: Facts | None = None

    @property
    def certificate_end(self) -> float:
        """Unix seconds at which the gate's certificate ends."""
        return self.facts.certificate_end if self.facts else 0.0


def observe(host: Host, spec: EndpointSpec) -> Facts:
    """Look at a host. Raises StepFailed, HostLost."""
    order = {"model_folder": spec.model_folder, "python": list(INTERPRETERS)}
    result = _python(host, "facts.py", order, timeout=90)
    if result.status != 0:
        raise StepFailed(f"{spec.name}: looking at the host failed: {result.tail()}")
    return Facts.from_answer(result.stdout)


def converge(host: Host, spec: EndpointSpec, services: Services, clock: Clock, say: Say) -> Report:
    """Make the host what the spec says and prove that nothing is left to do.

    Raises PreflightFailed before anything is changed on a host that does not serve yet; HostFault and OurFault as
    bootstrap/errors.py draws them.
    """
    report = Report()
    began = clock.monotonic()
    facts = observe(host, spec)
    steps = plan(spec, facts, clock.time())
    if any(step.action in {Action.INSTALL_KIT, Action.FETCH_MODEL, Action.START_VLLM} for step in steps):
        say("preflight", preflight(spec, facts))
    report.timings["preflight"] = clock.monotonic() - began
    worker = _Worker(host, spec, services, clock, say, facts)
    for step in steps:
        began = clock.monotonic()
        worker.do(step)
        report.timings[step.phase] = report.timings.get(step.phase, 0.0) + clock.monotonic() - began
        report.changed.append(f"{step.action.value}: {step.why}")
    report.facts = observe(host, spec)
    left = plan(spec, report.facts, clock.time())
    if left:
        told = "; ".join(f"{step.action.value}: {step.why}" for step in left)
        raise StepFailed(f"{spec.name}: after all steps there is still something to do: {told}")
    return report


class _Worker:
    """Carries out steps on one host."""

    def __init__(
        self, host: Host, spec: EndpointSpec, services: Services, clock: Clock, say: Say, facts: Facts
    ) -> None:
        self.host, self.spec, self.services, self.clock, self.say, self.facts = host, spec, services, clock, say, facts
        self._ended = 0

    def do(self, step: Step) -> None:
        """Carry out one step. Raises BootstrapError."""
        {
            Action.INSTALL_KIT: self.install_kit,
            Action.FETCH_MODEL: self.fetch_model,
            Action.CERTIFY: self.certify,
            Action.WRITE_TOKEN: self.write_token,
            Action.DROP_PREVIOUS_TOKEN: self.drop_previous_token,
            Action.CONFIGURE_GATE: self.configure_gate,
            Action.START_VLLM: self.start_vllm,
            Action.OPEN_GATE: self.open_gate,
        }[step.action]()

    def install_kit(self) -> None:
        kit = self.spec.kit
        self._fetch("install", kit, f"/opt/gpu-fleet/incoming/{kit.digest}", self.spec.preflight.download_mbps)
        script = (SCRIPTS / "install.sh").read_bytes()
        self._shell(f"sh -s {kit.digest}", "the kit could not be installed", script, timeout=120)

    def fetch_model(self) -> None:
        self._fetch("fetch weights", self.spec.model, self.spec.model_folder, self.spec.preflight.download_mbps)

    def certify(self) -> None:
        request = self._shell(f"sh {KIT}/certificate.sh", "the gate's key could not be made").stdout
        certificate = self.services.sign(request, self.spec.addresses)
        self.host.put(certificate.encode(), f"{ETC}/tls.crt.new", 0o600)
        epoch = self.spec.certificate_epoch
        command = f"cd {ETC} && mv tls.key.new tls.key && mv tls.crt.new tls.crt && echo {epoch} > tls.epoch"
        self._shell(command, "the gate's certificate could not be put in place")
        if self.facts.gate_started is not None:
            self._restart("gate", self.clock.monotonic() + SUPERVISOR_SECONDS)
        self.say("install", f"certificate for {', '.join(self.spec.addresses)}")

    def write_token(self) -> None:
        # The old token goes on being good until the new one is proven; the plan's last step drops it.
        self._shell(
            f"[ ! -e {ETC}/token ] || cp -p {ETC}/token {ETC}/token.previous", "the old token could not be kept"
        )
        self.host.put(self.spec.token.encode(), f"{ETC}/token", 0o600)

    def drop_previous_token(self) -> None:
        self._shell(f"rm -f {ETC}/token.previous", "the previous token could not be removed")

    def configure_gate(self) -> None:
        self.host.put(gate_order(self.spec).strip().encode(), f"{ETC}/gate.wanted", 0o600)
        self._restart("gate", self.clock.monotonic() + SUPERVISOR_SECONDS)

    def start_vllm(self) -> None:
        self.host.put(vllm_order(self.spec, self.facts).strip().encode(), f"{ETC}/vllm.wanted", 0o600)
        self._shell(f"rm -f {RUN}/vllm.ends", "the list of vLLM's ends could not be cleared")
        began = self.clock.monotonic()
        self._restart("vllm", began + SUPERVISOR_SECONDS)
        self._await_vllm(began)
        self.say("start", f"vLLM answered inside after {self.clock.monotonic() - began:.1f} s")

    def open_gate(self) -> None:
        self._await_vllm(self.clock.monotonic())
        others = f"find /workspace/models -mindepth 1 -maxdepth 1 ! -name {self.spec.model.digest} -exec rm -rf {{}} +"
        self._shell(f"touch {RUN}/open; {others}", "the gate could not be opened")

    def _await_vllm(self, began: float) -> None:
        deadline = began + START_SECONDS
        while self.clock.monotonic() < deadline:
            order = {"seconds": LOOK_SECONDS, "model": self.spec.served_model}
            result = _python(self.host, "await_vllm.py", order, timeout=LOOK_SECONDS + 90)
            state = _json(result, "vLLM's state")
            if state["ready"]:
                return
            self._judge(state["ends"], state["log"])
            if state["ends"]:
                self.clock.sleep(1.0)
                self._shell(f"rm -f {RUN}/vllm.ends", "the list of vLLM's ends could not be cleared")
        self._stop_vllm()
        raise EngineDied(
            f"{self.spec.name}: vLLM did not answer within {START_SECONDS / 60:.0f} min; last lines:\n{state['log'][-1500:]}"
        )

    def _judge(self, ends: list[str], log: str) -> None:
        """Say whose fault it is that vLLM ended; returns where it may be tried once more."""
        if not ends:
            return
        refused = any(end.split()[0] == "2" for end in ends) or any(sign in log for sign in REFUSALS)
        if refused:
            self._stop_vllm()
            raise EngineRefused(f"{self.spec.name}: vLLM refuses to start. Its last lines:\n{_last(log)}")
        self._ended += len(ends)
        if self._ended >= ENDS_ALLOWED:
            self._stop_vllm()
            raise EngineDied(
                f"{self.spec.name}: vLLM ended {self._ended} times while it started. Its last lines:\n{_last(log)}"
            )

    def _stop_vllm(self) -> None:
        self.host.run(f"rm -f {RUN}/open; {KIT}/bin/sv force-stop /opt/gpu-fleet/service/vllm")

    def _restart(self, name: str, deadline: float) -> None:
        """Declare a service and have it (re)started; the supervisor needs up to five seconds to notice a new one."""
        service = f"/opt/gpu-fleet/service/{name}"
        self._shell(f"{KIT}/boot.sh; {KIT}/service.sh {name}", f"the service {name} could not be declared")
        while True:
            result = self.host.run(f"{KIT}/bin/sv -w 10 restart {service}", timeout=30)
            if result.status == 0:
                return
            if self.clock.monotonic() > deadline:
                raise StepFailed(f"{self.spec.name}: the service {name} does not start: {result.tail(3)}")
            self.clock.sleep(0.1)

    def _fetch(self, phase: str, manifest: Manifest, target: str, least_mbps: float) -> None:
        files = [{**file.model_dump(mode="json"), "url": self.services.presign(file.sha256)} for file in manifest.files]
        order = {
            "target": target,
            "files": files,
            "part_bytes": PART_BYTES,
            "connections": CONNECTIONS,
            "least_mbps": least_mbps,
            "pause_seconds": 0.25,
        }
        result = _python(self.host, "fetch.py", order, timeout=FETCH_SECONDS)
        if result.status != 0:
            raise _fetch_error(self.spec.name, manifest.name, result)
        done = _json(result, "the fetch's report")
        kept = f", {_size(done['kept'])} were there" if done["kept"] else ""
        self.say(phase, f"{manifest.name}: {_size(done['bytes'])} in {done['seconds']:.1f} s, sha256 ok{kept}")

    def _shell(self, command: str, failed: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        result = self.host.run(command, stdin, timeout)
        if result.status != 0:
            raise StepFailed(f"{self.spec.name}: {failed}: {result.tail()}")
        return result


REFUSALS = (
    "error: unrecognized arguments",
    "error: argument",
    "pydantic_core._pydantic_core.ValidationError",
    "ValueError: ",
    "NotImplementedError: ",
)


def _fetch_error(name: str, what: str, result: Result) -> Exception:
    said = result.stderr.strip().splitlines()[-1:] or [f"status {result.status}"]
    message = f"{name}: fetching {what} failed: {said[0]}"
    if result.status == 4:
        return WeightsMissing(f"{message}. Was it uploaded to this bucket, and are the store's keys right?")
    if result.status == 7:
        return PreflightFailed("slow", f"{name}: the machine is slow: {said[0]}")
    if result.status == 5:
        return PreflightFailed("disk", f"{name}: {said[0]}")
    return FetchFailed(message)


def _python(host: Host, script: str, order: dict[str, Any], timeout: float) -> Result:
    """Run a script of ours with its order; both travel on stdin, because URLs are secrets."""
    text = f"import json\nORDER = json.loads({json.dumps(order)!r})\n" + (SCRIPTS / script).read_text()
    return host.run("exec python3 -S -", text.encode(), timeout)


def _json(result: Result, what: str) -> dict[str, Any]:
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        answer = None
    if result.status != 0 or not isinstance(answer, dict):
        raise StepFailed(f"{what} cannot be read: {result.tail()}")
    return answer


def _last(log: str, lines: int = 12) -> str:
    return "\n".join(log.strip().splitlines()[-lines:])


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
