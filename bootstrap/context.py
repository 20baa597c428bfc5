"""Hold the state that the steps of one convergence share, with the commands that several steps run."""

from dataclasses import dataclass

from bootstrap.clock import Clock
from bootstrap.draining import DRAIN_SECONDS
from bootstrap.errors import StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host, Result
from bootstrap.remote_scripts import KIT, RUN, shell
from bootstrap.services import Progress, Services
from bootstrap.spec import EndpointSpec

SUPERVISOR_SECONDS = 20.0
STOP_SECONDS = 10  # then the service is killed: a client's idle connection can keep vLLM from ending for long
NOT_SUPERVISED = 75


@dataclass
class HostContext:
    """One host and the spec that it must meet. The plan follows from `facts`; the steps update them."""

    host: Host
    spec: EndpointSpec
    services: Services
    clock: Clock
    report_progress: Progress
    facts: Facts
    vllm_began: float | None = None  # when `start_vllm` started vLLM, in monotonic seconds
    download_mbps: float | None = None  # of the last transfer that was long enough to measure

    def shell(self, command: str, failed: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        """Run a command that must succeed; `failed` begins the message if it does not. Raises StepFailed."""
        return shell(self.host, command, f"{self.spec.name}: {failed}", stdin, timeout)

    def drain(self) -> None:
        """Close the gate if it is open, and give requests under way DRAIN_SECONDS to end."""
        if self.facts.gate_open:
            done = self.host.run(f"{KIT}/drain.sh {DRAIN_SECONDS}", timeout=DRAIN_SECONDS + 30)
            self.facts = self.facts.model_copy(update={"gate_open": False})
            if done.status != 0:
                self.report_progress("drain", f"requests are still under way after {DRAIN_SECONDS} s and will be cut")

    def restart(self, name: str) -> None:
        """Declare a service and (re)start it. The supervisor needs up to five seconds to notice a new service.

        Does not wait until the service stays up: a service that ends at once is judged later, by its output.
        Raises StepFailed.
        """
        service = f"/opt/gpu-fleet/service/{name}"
        deadline = self.clock.monotonic() + SUPERVISOR_SECONDS
        self.shell(f"{KIT}/boot.sh; {KIT}/service.sh {name}", f"the service {name} could not be declared")
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
