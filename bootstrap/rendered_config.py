"""Render the configuration files of a host's services, and their digests, pure: a spec and facts in, texts out."""

import hashlib
import json

from bootstrap.facts import Facts
from bootstrap.gate import caddyfile
from bootstrap.metrics_agent import Reporting, agent_config, vmagent_config
from bootstrap.self_destruct_config import SelfDestruct, self_destruct_config
from bootstrap.spec import CACHE_FOLDER, EndpointSpec

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "75",  # well above the gate's own, which closes idle connections after 4 s
}
# vLLM's own cache holds graphs; the compilers under it write elsewhere unless these variables say otherwise.
CACHES = {
    "VLLM_CACHE_ROOT": CACHE_FOLDER,
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_FOLDER}/inductor",
    "TRITON_CACHE_DIR": f"{CACHE_FOLDER}/triton",
}


def vllm_config(spec: EndpointSpec, facts: Facts) -> str:
    """Return the text of vllm.wanted: program, arguments and environment, as JSON with sorted keys."""
    argv = [*_program(spec, facts), *spec.vllm_arguments]
    environment = {**ENVIRONMENT, **(CACHES if spec.warm_start else {}), **dict(spec.env)}
    return json.dumps({"argv": argv, "environment": environment}, sort_keys=True, indent=1)


def _program(spec: EndpointSpec, facts: Facts) -> list[str]:
    # The image's own entry point runs `vllm serve`. The module is the older way, which newer versions drop.
    if facts.vllm is not None:
        return [facts.vllm, "serve", spec.model_folder]
    return [facts.python or "python3", "-m", "vllm.entrypoints.openai.api_server", "--model", spec.model_folder]


def gate_config(spec: EndpointSpec) -> str:
    """Return the text of gate.wanted, the gate's configuration. It names the kit, which may bring another gate."""
    lease = spec.self_destruct is not None and spec.self_destruct.lease is not None
    return f"# kit {spec.kit.digest}\n{caddyfile(spec.port, lease=lease)}"


def agent_text(spec: EndpointSpec) -> str:
    """Return the text of agent.wanted."""
    return agent_config(spec.kit.digest, spec.served_model, spec.model.digest)


def vmagent_text(spec: EndpointSpec, reporting: Reporting) -> str:
    """Return the text of vmagent.wanted."""
    return vmagent_config(spec.kit.digest, reporting)


def self_destruct_text(spec: EndpointSpec, limits: SelfDestruct) -> str:
    """Return the text of self-destruct.wanted."""
    return self_destruct_config(spec.kit.digest, limits)


def digest(text: str) -> str:
    """Return the digest that scripts/facts.py gives a file with this text: SHA-256 without blanks at both ends."""
    return hashlib.sha256(text.strip().encode()).hexdigest()
