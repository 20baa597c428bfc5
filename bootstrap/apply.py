"""The steps of a plan, carried out on one host."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bootstrap.clock import Clock
from bootstrap.errors import GateOpen, SpecInvalid, StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host, Result
from bootstrap.host_transfer import HostTransfer
from bootstrap.plan import Action, Step
from bootstrap.remote_scripts import ETC, KIT, RUN, SCRIPTS, answer, python, shell
from bootstrap.rendered_config import agent_text, gate_config, vllm_config, vmagent_text
from bootstrap.spec import EndpointSpec
from bootstrap.vllm import VllmServer
from bootstrap.warm_cache import bring, warm_key
from weights.manifest import Manifest

Say = Callable[[str, str], None]

SUPERVISOR_SECONDS = 20.0
STOP_SECONDS = 10  # then vLLM is killed: an idle connection of a client may keep it from ending for long
DRAIN_SECONDS = 30
NOT_SUPERVISED = 75


class Services(Protocol):
    """What the bootstrap needs from outside: URLs of blobs, and signatures of the fleet's CA."""

    def presign(self, sha256: str, seconds: int) -> str:
        """Return a URL by which a host may fetch a blob for some seconds."""

    def store_trouble(self) -> str:
        """Say why this machine cannot reach the store either; empty where it can."""

    def store_mbps(self, sha256: str, size: int) -> float | None:
        """Return the rate in Mb/s at which this machine gets a blob of the store; None where it gets nothing."""

    def warm_archive(self, key: str) -> bytes | None:
        """Return the compile cache that may be used on this machine for a key, None where there is none."""

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        """Return the certificate, PEM, for the key of a host's request. Raises ValueError where it cannot be signed."""


@dataclass
class PlanExecutor:
    """Carries out steps; each raises BootstrapError and may be repeated. `facts` are those that the plan was made of."""

    host: Host
    spec: EndpointSpec
    services: Services
    clock: Clock
    say: Say
    facts: Facts
    vllm_began: float | None = None  # when vLLM was started here, in monotonic seconds
    download_mbps: float | None = None  # of the last transfer that was long enough to measure

    def do(self, step: Step) -> None:
        """Carry out one step."""
        {
            Action.INSTALL_KIT: self.install_kit,
            Action.FETCH_MODEL: self.fetch_model,
            Action.CERTIFY: self.certify,
            Action.WRITE_TOKEN: self.write_token,
            Action.DROP_PREVIOUS_TOKEN: self.drop_previous_token,
            Action.CONFIGURE_GATE: self.configure_gate,
            Action.START_VLLM: self.start_vllm,
            Action.OPEN_GATE: self.open_gate,
            Action.REPORT: self.report,
            Action.STOP_REPORTING: self.stop_reporting,
        }[step.action]()

    def install_kit(self) -> None:
        """Fetch the kit, which also measures the download before the weights are begun, and put it in place."""
        kit = self.spec.kit
        self._fetch("install", kit, f"/opt/gpu-fleet/incoming/{kit.digest}")
        script = (SCRIPTS / "install.sh").read_bytes()
        self._shell(f"sh -s {kit.digest}", "the kit could not be installed", script, timeout=120)

    def fetch_model(self) -> None:
        """Fetch the weights into a folder of their own beside those of another version."""
        self._fetch("fetch weights", self.spec.model, self.spec.model_folder)

    def certify(self) -> None:
        """Have the host make a key, and give it a certificate; a gate that runs is restarted with them."""
        request = self._shell(f"sh {KIT}/certificate.sh", "the gate's key could not be made").stdout
        try:
            certificate = self.services.sign(request, self.spec.addresses)
        except SpecInvalid:
            raise  # the CA is at fault, not this host
        except ValueError as error:
            raise StepFailed(f"{self.spec.name}: no certificate: {error}") from None
        self.host.put(certificate.encode(), f"{ETC}/tls.crt.new", 0o600)
        epoch = self.spec.certificate_epoch
        command = f"cd {ETC} && mv tls.key.new tls.key && mv tls.crt.new tls.crt && echo {epoch} > tls.epoch"
        self._shell(command, "the gate's certificate could not be put in place")
        if self.facts.gate_started is not None:
            self._drain()
            self._restart("gate")
        self.say("install", f"certificate for {', '.join(self.spec.addresses)}")

    def write_token(self) -> None:
        """Write the token. The one before goes on being good until this one is proven; the plan's last step drops it."""
        command = f"[ ! -e {ETC}/token ] || cp -p {ETC}/token {ETC}/token.previous"
        self._shell(command, "the old token could not be kept")
        self.host.put(self.spec.token.encode(), f"{ETC}/token", 0o600)

    def drop_previous_token(self) -> None:
        """Shut out whoever still uses the token of before."""
        self._shell(f"rm -f {ETC}/token.previous", "the previous token could not be removed")

    def configure_gate(self) -> None:
        """Write the gate's configuration and start the gate with it."""
        self._drain()
        self.host.put(gate_config(self.spec).strip().encode(), f"{ETC}/gate.wanted", 0o600)
        self._restart("gate")

    def start_vllm(self) -> None:
        """Start vLLM as ordered; one that runs is restarted once no request is under way. `open_gate` waits for it."""
        self._drain()
        self.vllm_began = self.clock.monotonic()
        if self.spec.warm_start and (archive := self.services.warm_archive(warm_key(self.spec, self.facts))):
            if problem := bring(self.host, self.spec.name, archive):
                self.say("warm start", f"the kept compile cache is not used: {problem}")
            else:
                self.say("warm start", f"compile cache of an earlier start: {len(archive) / 1e6:.1f} MB")
        self.host.put(vllm_config(self.spec, self.facts).strip().encode(), f"{ETC}/vllm.wanted", 0o600)
        self._restart("vllm")

    def open_gate(self) -> None:
        """Open the gate once vLLM answers, prove inside that it lets in whom it should, and remove other weights."""
        self._engine().await_answer()
        if self.vllm_began is not None:
            self.say("start", f"vLLM answered inside after {self.clock.monotonic() - self.vllm_began:.1f} s")
        self._shell(f"touch {RUN}/open", "the gate could not be opened")
        order = {"port": self.spec.port, "model": self.spec.served_model}
        seen = answer(python(self.host, "prove_gate.py", order, timeout=240), "the gate's proof")
        if seen["stranger"] != 401 or seen["client"] != 200:
            self._shell(f"rm -f {RUN}/open", "the gate could not be closed")
            told = f"the gate answers {seen['stranger']} without a token and {seen['client']} with it, not 401 and 200"
            raise (GateOpen if seen["stranger"] == 200 else StepFailed)(f"{self.spec.name}: {told}")
        keep = f"! -name {self.spec.model.digest} ! -name {self.spec.model.digest}.verified"
        others = f"find /workspace/models -mindepth 1 -maxdepth 1 {keep} -exec rm -rf {{}} +"
        self._shell(others, "weights that are not needed any more could not be removed")

    def report(self) -> None:
        """Have the host report. One that serves goes on serving where it cannot: that is said here, and seen by refresh."""
        reporting = self.spec.reporting
        assert reporting is not None
        try:
            self.host.put(reporting.password.encode(), f"{ETC}/metrics.password", 0o600)
            self.host.put(agent_text(self.spec).encode(), f"{ETC}/agent.wanted", 0o600)
            self.host.put(vmagent_text(self.spec, reporting).encode(), f"{ETC}/vmagent.wanted", 0o600)
            self._restart("agent")
            self._restart("vmagent")
            unreached = self._shell(f"{KIT}/report.sh", "agent and vmagent do not stay up").stdout.strip()
        except StepFailed as error:
            self.say("report", f"no metrics are reported: {error}")
        else:
            self.say("report", f"metrics go to {reporting.url} every {reporting.interval_seconds:g} s")
            if unreached:
                self.say("report", f"the host keeps its metrics, because it cannot reach the receiver: {unreached}")

    def keep_timings(self, timings: Mapping[str, float]) -> None:
        """Leave on a host that reports how long each phase took, for its agent to tell; not worth a failure."""
        if self.spec.reporting is None:
            return
        text = json.dumps({phase: round(seconds, 3) for phase, seconds in timings.items()})
        try:
            self.host.put(text.encode(), f"{ETC}/phases.json", 0o644)
        except StepFailed as error:
            self.say("report", f"how long each phase took is not reported: {error}")

    def stop_reporting(self) -> None:
        """End agent and vmagent, and forget where they reported to."""
        services = "/opt/gpu-fleet/service"
        files = " ".join(
            f"{ETC}/{name}" for name in ("agent.wanted", "vmagent.wanted", "metrics.password", "phases.json")
        )
        command = (
            f"export PATH={KIT}/bin:$PATH; for name in agent vmagent; do touch {services}/$name/down; "
            f"{KIT}/stop.sh $name {STOP_SECONDS} || exit 1; done; rm -rf {files} /workspace/metrics"
        )
        self._shell(command, "agent and vmagent could not be stopped")

    def _engine(self) -> VllmServer:
        return VllmServer(self.host, self.clock, self.spec.name, self.spec.served_model)

    def _drain(self) -> None:
        """Close the gate where it is open, and give requests under way some time to end."""
        if self.facts.gate_open:
            done = self.host.run(f"{KIT}/drain.sh {DRAIN_SECONDS}", timeout=DRAIN_SECONDS + 30)
            self.facts = self.facts.model_copy(update={"gate_open": False})
            if done.status != 0:
                self.say("drain", f"requests are still under way after {DRAIN_SECONDS} s and will be cut")

    def _restart(self, name: str) -> None:
        """Declare a service and have it (re)started; the supervisor needs up to five seconds to notice a new one.

        Whether it stays up is not waited for: one that ends at once is judged by what it says, not by its absence.
        """
        service = f"/opt/gpu-fleet/service/{name}"
        deadline = self.clock.monotonic() + SUPERVISOR_SECONDS
        self._shell(f"{KIT}/boot.sh; {KIT}/service.sh {name}", f"the service {name} could not be declared")
        command = (
            f"[ -p {service}/supervise/control ] || exit {NOT_SUPERVISED}; export PATH={KIT}/bin:$PATH; "
            f"{KIT}/stop.sh {name} {STOP_SECONDS} || exit 1; rm -f {RUN}/{name}.ends {RUN}/{name}.last; "
            f"sv up {service}; true"
        )
        while True:
            result = self.host.run(command, timeout=STOP_SECONDS + 30)
            if result.status == 0:
                return
            if result.status != NOT_SUPERVISED:
                raise StepFailed(f"{self.spec.name}: the service {name} could not be started: {result.tail(3)}")
            if self.clock.monotonic() > deadline:
                raise StepFailed(f"{self.spec.name}: the service {name} is not supervised: {result.tail(3)}")
            self.clock.sleep(0.1)

    def _fetch(self, phase: str, manifest: Manifest, target: str) -> None:
        say = lambda text: self.say(phase, text)  # noqa: E731
        done = HostTransfer(self.host, self.spec, manifest, self.services, self.clock, say).to(target)
        self.download_mbps = done.mbps or self.download_mbps
        self.say(phase, done.text)

    def _shell(self, command: str, failed: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        return shell(self.host, command, f"{self.spec.name}: {failed}", stdin, timeout)
