"""Converge a host: facts -> preflight -> plan -> apply -> facts again, until the plan is empty. The host is handed in."""

from bootstrap.apply import Report, apply
from bootstrap.clock import Clock
from bootstrap.context import HostContext
from bootstrap.errors import EndsItself, StepFailed
from bootstrap.facts import Facts
from bootstrap.host import Host
from bootstrap.plan import Action, Step, describe_steps, plan
from bootstrap.preflight import disk, preflight
from bootstrap.remote_scripts import python
from bootstrap.services import Progress, Services
from bootstrap.spec import EndpointSpec
from bootstrap.start_metrics import keep_timings

INTERPRETERS = ("/opt/vllm/bin/python", "python3", "python")  # candidates; the first that finds vLLM runs it
NEEDS_PREFLIGHT = frozenset({Action.INSTALL_KIT, Action.FETCH_MODEL, Action.START_VLLM})


def observe(host: Host, spec: EndpointSpec) -> Facts:
    """Read the host's facts. Raises StepFailed, HostLost."""
    request = {"model_folder": spec.model_folder, "python": list(INTERPRETERS)}
    result = python(host, "facts.py", request, timeout=90)
    if result.status != 0:
        raise StepFailed(f"{spec.name}: looking at the host failed: {result.tail()}")
    return Facts.from_answer(result.stdout)


def converge(host: Host, spec: EndpointSpec, services: Services, clock: Clock, report_progress: Progress) -> Report:
    """Make the host match the spec, then prove that a second plan is empty.

    Raises PreflightFailed before anything is changed on a host that does not serve yet. Raises HostFault and OurFault as
    bootstrap/errors.py lists them.
    """
    report = Report()
    began = clock.monotonic()
    facts = observe(host, spec)
    if facts.ending:
        raise EndsItself(
            f"{spec.name}: the host is ending itself ({facts.ending}), so nothing is started on it. Once it is gone, "
            f"`pulumi up --refresh` rents another machine; `pulumi up --replace '**{spec.name}'` does so at once"
        )
    steps = plan(spec, facts, clock.time())
    _check(host, spec, facts, steps, clock, report_progress)
    report.timings["preflight"] = clock.monotonic() - began
    context = HostContext(host, spec, services, clock, report_progress, facts)
    apply(steps, context, report)
    if report.started:
        keep_timings(context, report.timings)
    report.facts = observe(host, spec)
    # A host whose metrics failed still serves: a progress line said so, and refresh will report it as drift.
    left = [step for step in plan(spec, report.facts, clock.time()) if step.action is not Action.START_METRICS]
    if left:
        raise StepFailed(f"{spec.name}: after all steps there is still something to do: {describe_steps(left)}")
    return report


def _check(
    host: Host, spec: EndpointSpec, facts: Facts, steps: list[Step], clock: Clock, report_progress: Progress
) -> None:
    """Run the preflight that the steps call for. Raises PreflightFailed, StepFailed."""
    actions = {step.action for step in steps}
    if actions & NEEDS_PREFLIGHT:
        report_progress("preflight", preflight(spec, facts, clock.time()))
    if Action.FETCH_MODEL in actions and not facts.served and (speed := disk(host, spec)):
        report_progress("preflight", speed)
