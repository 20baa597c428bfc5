"""Plan the steps that a host needs, pure: a spec and facts in, steps out. A host that matches its spec needs none."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from bootstrap.facts import Facts
from bootstrap.rendered_config import (
    agent_text,
    digest,
    gate_config,
    self_destruct_text,
    vllm_config,
    vmagent_text,
)
from bootstrap.spec import RENEW_SECONDS, EndpointSpec


class Action(Enum):
    """Name a step; `apply` maps it to its function."""

    INSTALL_KIT = "install kit"
    FETCH_MODEL = "fetch model"
    CERTIFY = "certify"
    WRITE_TOKEN = "write token"  # noqa: S105 -- the name of a step
    DROP_PREVIOUS_TOKEN = "drop previous token"  # noqa: S105 -- the name of a step
    CONFIGURE_GATE = "configure gate"
    START_VLLM = "start vLLM"
    OPEN_GATE = "open gate"
    START_METRICS = "report"
    STOP_REPORTING = "stop reporting"
    ARM = "arm self-destruct"
    DISARM = "disarm self-destruct"


@dataclass(frozen=True)
class Step:
    """Name one action, its phase and its reason."""

    phase: str
    action: Action
    why: str


def plan(spec: EndpointSpec, facts: Facts, now: float) -> list[Step]:
    """Return the steps that make the host match the spec, in their order. `now` is in unix seconds."""
    rules = [
        Step("install", Action.INSTALL_KIT, _kit(spec, facts)),
        Step("fetch weights", Action.FETCH_MODEL, _model(spec, facts)),
        Step("install", Action.CERTIFY, _certificate(spec, facts, now)),
        Step("install", Action.WRITE_TOKEN, _token(spec, facts)),
        Step("install", Action.CONFIGURE_GATE, _gate(spec, facts)),
        Step("start", Action.START_VLLM, _vllm(spec, facts)),
    ]
    steps = [step for step in rules if step.why]
    proven = facts.gate_open and not steps
    if why := _reporting(spec, facts):
        # Before the gate is opened, because that waits for vLLM and leaves time for this.
        steps.append(Step("start", Action.START_METRICS if spec.reporting else Action.STOP_REPORTING, why))
    if why := _self_destruct(spec, facts):
        steps.append(Step("start", Action.ARM if spec.self_destruct else Action.DISARM, why))
    if not proven:
        steps.append(Step("start", Action.OPEN_GATE, "the gate is closed" if not facts.gate_open else "proven anew"))
    changes_token = facts.token_digest not in {None, digest(spec.token)}
    if facts.previous_token or changes_token:
        steps.append(Step("start", Action.DROP_PREVIOUS_TOKEN, "the previous token still opens the gate"))
    return steps


def describe_steps(steps: Iterable[Step]) -> str:
    """Return the steps and their reasons in one line."""
    return "; ".join(f"{step.action.value}: {step.why}" for step in steps)


def _kit(spec: EndpointSpec, facts: Facts) -> str:
    if facts.kit == spec.kit.digest:
        return ""
    return "no kit is installed" if facts.kit is None else "another kit is installed"


def _model(spec: EndpointSpec, facts: Facts) -> str:
    wanted = {file.path: file.size for file in spec.model.files}
    if facts.model_files == wanted and facts.model_verified:
        return ""
    return f"{spec.model.name} is not there" if not facts.model_files else f"files of {spec.model.name} were changed"


def _certificate(spec: EndpointSpec, facts: Facts, now: float) -> str:
    if not facts.certificate_end:
        return "there is no certificate"
    if facts.certificate_end - now < RENEW_SECONDS:
        return f"the certificate ends in {max(0.0, facts.certificate_end - now) / 86400:.0f} days"
    if not facts.certificate_addresses >= set(spec.addresses):
        return f"the certificate is not good for {', '.join(spec.addresses)}"
    if facts.certificate_epoch != str(spec.certificate_epoch):
        return "the certificate is of an earlier rotation"
    return ""


def _token(spec: EndpointSpec, facts: Facts) -> str:
    if facts.token_digest == digest(spec.token):
        return ""
    return "there is no token" if facts.token_digest is None else "the token is another one"


def _gate(spec: EndpointSpec, facts: Facts) -> str:
    wanted = digest(gate_config(spec))
    if facts.gate_wanted != wanted:
        return "the gate is not configured" if facts.gate_wanted is None else "the gate's configuration was changed"
    if facts.gate_started is None:
        return "the gate does not run"
    return "" if facts.gate_started == wanted else "the gate runs with another configuration"


def _vllm(spec: EndpointSpec, facts: Facts) -> str:
    wanted = digest(vllm_config(spec, facts))
    if facts.vllm_started is None:
        return "vLLM does not run"
    if facts.vllm_wanted != wanted or facts.vllm_started != wanted:
        return "vLLM runs with other arguments"
    return "" if facts.vllm_healthy else "vLLM does not answer"


def _reporting(spec: EndpointSpec, facts: Facts) -> str:
    there = (facts.agent_wanted, facts.vmagent_wanted, facts.metrics_password)
    if spec.reporting is None:
        return "metrics are not wanted any more" if any(there) else ""
    agent, vmagent = digest(agent_text(spec)), digest(vmagent_text(spec, spec.reporting))
    if there != (agent, vmagent, digest(spec.reporting.password)):
        return "metrics are to go elsewhere, or as somebody else" if all(there) else "no metrics are reported"
    if (facts.agent_started, facts.vmagent_started) != (agent, vmagent):
        return "the agent does not run" if facts.agent_started != agent else "vmagent does not run"
    return ""


def _self_destruct(spec: EndpointSpec, facts: Facts) -> str:
    if spec.self_destruct is None:
        return "it is not to end itself any more" if facts.self_destruct_wanted is not None else ""
    wanted = digest(self_destruct_text(spec, spec.self_destruct))
    if facts.self_destruct_wanted != wanted:
        unset = facts.self_destruct_wanted is None
        return "it is to end itself once a limit is reached" if unset else "it is to end itself at another time"
    return "" if facts.self_destruct_started == wanted else "the service that ends it does not run"
