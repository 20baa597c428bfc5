"""Converge a host: facts -> preflight -> plan -> apply -> facts again, until the plan is empty. The host is handed in."""

from dataclasses import dataclass, field

from bootstrap.apply import PlanExecutor, Say, Services
from bootstrap.clock import Clock
from bootstrap.errors import StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host
from bootstrap.plan import Action, plan
from bootstrap.preflight import disk, preflight
from bootstrap.remote_scripts import KIT, python
from bootstrap.spec import EndpointSpec

__all__ = ["KIT", "Report", "Say", "Services", "converge", "observe"]

INTERPRETERS = ("/opt/vllm/bin/python", "python3", "python")  # the first one that finds vLLM runs it


@dataclass
class Report:
    """What converging took: seconds by phase, what was done, the rate of downloads in Mbit/s, and the facts at the end."""

    timings: dict[str, float] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    download_mbps: float | None = None
    facts: Facts | None = None

    @property
    def started(self) -> bool:
        """Whether vLLM was started anew."""
        return any(change.startswith(Action.START_VLLM.value) for change in self.changed)

    @property
    def certificate_end(self) -> float:
        """Unix seconds at which the gate's certificate ends."""
        return self.facts.certificate_end if self.facts else 0.0


def observe(host: Host, spec: EndpointSpec) -> Facts:
    """Look at a host. Raises StepFailed, HostLost."""
    order = {"model_folder": spec.model_folder, "python": list(INTERPRETERS)}
    result = python(host, "facts.py", order, timeout=90)
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
        say("preflight", preflight(spec, facts, clock.time()))
    fetches = any(step.action is Action.FETCH_MODEL for step in steps)
    if fetches and not facts.served and (told := disk(host, spec)):
        say("preflight", told)
    report.timings["preflight"] = clock.monotonic() - began
    worker = PlanExecutor(host, spec, services, clock, say, facts)
    for step in steps:
        began = clock.monotonic()
        worker.do(step)
        report.timings[step.phase] = report.timings.get(step.phase, 0.0) + clock.monotonic() - began
        report.changed.append(f"{step.action.value}: {step.why}")
    report.download_mbps = worker.download_mbps
    if report.started:
        worker.keep_timings(report.timings)
    report.facts = observe(host, spec)
    # Reporting is not serving: a host that cannot report is said above, and is drift from now on.
    left = [step for step in plan(spec, report.facts, clock.time()) if step.action is not Action.REPORT]
    if left:
        told = "; ".join(f"{step.action.value}: {step.why}" for step in left)
        raise StepFailed(f"{spec.name}: after all steps there is still something to do: {told}")
    return report
