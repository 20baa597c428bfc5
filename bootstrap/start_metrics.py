"""Start and stop the services that send a host's metrics: our agent and vmagent. A host without metrics still serves."""

import json
from collections.abc import Mapping

from bootstrap.context import STOP_SECONDS, HostContext
from bootstrap.errors import StepFailed
from bootstrap.metrics_agent import CA
from bootstrap.remote_scripts import ETC, KIT
from bootstrap.rendered_config import agent_text, vmagent_text


def start_metrics(context: HostContext) -> None:
    """Write the configuration of agent and vmagent and (re)start both.

    A failure becomes a progress line, because the host goes on serving; the next refresh reports it as drift.
    """
    reporting = context.spec.reporting
    assert reporting is not None
    try:
        context.host.put(reporting.password.encode(), f"{ETC}/metrics.password", 0o600)
        if reporting.ca:
            context.host.put(reporting.ca.encode(), CA, 0o644)
        context.host.put(agent_text(context.spec).encode(), f"{ETC}/agent.wanted", 0o600)
        context.host.put(vmagent_text(context.spec, reporting).encode(), f"{ETC}/vmagent.wanted", 0o600)
        context.restart("agent")
        context.restart("vmagent")
        unreached = context.shell(f"{KIT}/report.sh", "agent and vmagent do not stay up").stdout.strip()
    except StepFailed as error:
        context.report_progress("report", f"no metrics are reported: {error}")
    else:
        line = f"metrics go to {reporting.url} every {reporting.interval_seconds:g} s"
        context.report_progress("report", line)
        if unreached:
            line = f"the host keeps its metrics, because it cannot reach the receiver: {unreached}"
            context.report_progress("report", line)


def keep_timings(context: HostContext, timings: Mapping[str, float]) -> None:
    """Write the seconds of each phase to the host, for its agent to report. A failure becomes a progress line."""
    if context.spec.reporting is None:
        return
    text = json.dumps({phase: round(seconds, 3) for phase, seconds in timings.items()})
    try:
        context.host.put(text.encode(), f"{ETC}/phases.json", 0o644)
    except StepFailed as error:
        context.report_progress("report", f"how long each phase took is not reported: {error}")


def stop_metrics(context: HostContext) -> None:
    """Stop agent and vmagent, and remove their configuration and the metrics that wait on disk."""
    services = "/opt/gpu-fleet/service"
    names = ("agent.wanted", "vmagent.wanted", "metrics.password", "metrics.ca", "phases.json")
    files = " ".join(f"{ETC}/{name}" for name in names)
    command = (
        f"export PATH={KIT}/bin:$PATH; for name in agent vmagent; do touch {services}/$name/down; "
        f"{KIT}/stop.sh $name {STOP_SECONDS} || exit 1; done; rm -rf {files} /workspace/metrics"
    )
    context.shell(command, "agent and vmagent could not be stopped")
