"""Apply a plan to one host, step by step, and record the applied steps and the seconds of each phase."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bootstrap.context import HostContext
from bootstrap.facts import Facts
from bootstrap.fetch import fetch_model
from bootstrap.install import certify, configure_gate, drop_previous_token, install_kit, write_token
from bootstrap.plan import Action, Step
from bootstrap.start import open_gate, start_vllm
from bootstrap.start_metrics import start_metrics, stop_metrics
from bootstrap.start_self_destruct import arm, disarm

ACTIONS: Mapping[Action, Callable[[HostContext], None]] = {
    Action.INSTALL_KIT: install_kit,
    Action.FETCH_MODEL: fetch_model,
    Action.CERTIFY: certify,
    Action.WRITE_TOKEN: write_token,
    Action.DROP_PREVIOUS_TOKEN: drop_previous_token,
    Action.CONFIGURE_GATE: configure_gate,
    Action.START_VLLM: start_vllm,
    Action.OPEN_GATE: open_gate,
    Action.START_METRICS: start_metrics,
    Action.STOP_REPORTING: stop_metrics,
    Action.ARM: arm,
    Action.DISARM: disarm,
}


@dataclass
class Report:
    """Hold a convergence's result: seconds by phase, applied steps, download rate in Mbit/s, and the facts at the end."""

    timings: dict[str, float] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    download_mbps: float | None = None
    facts: Facts | None = None

    @property
    def started(self) -> bool:
        """Return whether vLLM was (re)started."""
        return any(change.startswith(Action.START_VLLM.value) for change in self.changed)

    @property
    def certificate_end(self) -> float:
        """Return the unix seconds at which the gate's certificate ends."""
        return self.facts.certificate_end if self.facts else 0.0


def apply(steps: Iterable[Step], context: HostContext, report: Report) -> None:
    """Apply the steps in their order and add them to the report. Raises BootstrapError; a step may be repeated."""
    for step in steps:
        began = context.clock.monotonic()
        ACTIONS[step.action](context)
        report.timings[step.phase] = report.timings.get(step.phase, 0.0) + context.clock.monotonic() - began
        report.changed.append(f"{step.action.value}: {step.why}")
    report.download_mbps = context.download_mbps
