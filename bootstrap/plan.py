"""What has to be done on a host, pure: a spec and facts in, steps out. On a host that is as it should be: none."""

from dataclasses import dataclass
from enum import Enum

from bootstrap.errors import PreflightFailed
from bootstrap.facts import Facts
from bootstrap.order import digest, gate_order, vllm_order
from bootstrap.spec import EndpointSpec

RENEW_SECONDS = 30 * 86400.0  # a certificate is renewed when it has less than this to live


class Action(Enum):
    """What a step does; `run` knows how."""

    INSTALL_KIT = "install kit"
    FETCH_MODEL = "fetch model"
    CERTIFY = "certify"
    WRITE_TOKEN = "write token"  # noqa: S105 -- the name of a step
    DROP_PREVIOUS_TOKEN = "drop previous token"  # noqa: S105 -- the name of a step
    CONFIGURE_GATE = "configure gate"
    START_VLLM = "start vLLM"
    OPEN_GATE = "open gate"


@dataclass(frozen=True)
class Step:
    """One thing to do: in which phase, and why."""

    phase: str
    action: Action
    why: str


def plan(spec: EndpointSpec, facts: Facts, now: float) -> list[Step]:
    """Return the steps that make the host what the spec says, in their order. `now` is in unix seconds."""
    rules = [
        Step("install", Action.INSTALL_KIT, _kit(spec, facts)),
        Step("fetch weights", Action.FETCH_MODEL, _model(spec, facts)),
        Step("install", Action.CERTIFY, _certificate(spec, facts, now)),
        Step("install", Action.WRITE_TOKEN, _token(spec, facts)),
        Step("install", Action.CONFIGURE_GATE, _gate(spec, facts)),
        Step("start", Action.START_VLLM, _vllm(spec, facts)),
    ]
    steps = [step for step in rules if step.why]
    if steps or not facts.gate_open:
        steps.append(Step("start", Action.OPEN_GATE, "the gate is closed" if not facts.gate_open else "proven anew"))
    changes_token = facts.token_digest not in {None, digest(spec.token)}
    if facts.previous_token or changes_token:
        steps.append(Step("start", Action.DROP_PREVIOUS_TOKEN, "the previous token still opens the gate"))
    return steps


def preflight(spec: EndpointSpec, facts: Facts) -> str:
    """Look at the machine before anything big is downloaded, and return what was seen. Raises PreflightFailed."""
    bounds = spec.preflight
    seen = f"{len(facts.gpus)} x {facts.gpus[0].name}" if facts.gpus else "no GPU"
    if bounds.gpu_count and len(facts.gpus) != bounds.gpu_count:
        raise PreflightFailed("gpu", f"nvidia-smi shows {seen}, {bounds.gpu_count} GPUs were rented")
    for gpu in facts.gpus[: bounds.gpu_count]:
        if bounds.gpu_names and not any(_same_gpu(name, gpu.name) for name in bounds.gpu_names):
            raise PreflightFailed("gpu", f"nvidia-smi shows {seen}, {' or '.join(bounds.gpu_names)} was rented")
        if gpu.memory_mb < bounds.gpu_ram_mb * 0.95:
            raise PreflightFailed("gpu", f"{gpu.name} has {gpu.memory_mb} MB, {bounds.gpu_ram_mb} MB were asked for")
    started = facts.vllm_started is not None  # a running vLLM uses what it needs of shared memory
    if facts.shm_free_mb < bounds.shm_mb and not started:
        raise PreflightFailed(
            "shm",
            f"shared memory has {facts.shm_free_mb} MB free and vLLM needs {bounds.shm_mb} MB; it would die at start",
        )
    needed = bounds.disk_gb * 1000 if not facts.model_files else 0
    if facts.disk_free_mb * 1.048576 < needed:
        raise PreflightFailed("disk", f"{facts.disk_free_mb} MB of disk are free, {needed:.0f} MB are needed")
    if facts.python is None:
        raise PreflightFailed("system", "no Python on the host knows vLLM: is the image one with vLLM in it?")
    driver = f", driver {facts.gpus[0].driver}" if facts.gpus else ""
    return f"{seen}{driver}, {facts.shm_free_mb} MB shared memory, {facts.disk_free_mb / 1000:.1f} GB disk free"


def _same_gpu(market: str, driver: str) -> bool:
    # The market writes "RTX 4090" and "H100 SXM", the driver "NVIDIA GeForce RTX 4090" and "NVIDIA H100 80GB HBM3".
    wanted = market.upper().replace("6000ADA", "6000 ADA").split()
    shown = driver.upper().replace("-", " ").split()
    model = [word for word in wanted if any(letter.isdigit() for letter in word)] or wanted
    return all(word in shown for word in model)


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
    wanted = digest(gate_order(spec))
    if facts.gate_wanted != wanted:
        return "the gate is not configured" if facts.gate_wanted is None else "the gate's configuration was changed"
    if facts.gate_started is None:
        return "the gate does not run"
    return "" if facts.gate_started == wanted else "the gate runs with another configuration"


def _vllm(spec: EndpointSpec, facts: Facts) -> str:
    wanted = digest(vllm_order(spec, facts))
    if facts.vllm_started is None:
        return "vLLM does not run"
    if facts.vllm_wanted != wanted or facts.vllm_started != wanted:
        return "vLLM runs with other arguments"
    return "" if facts.vllm_healthy else "vLLM does not answer"
