"""Start vLLM, and open the gate once vLLM answers. Each step raises BootstrapError and may be repeated."""

from bootstrap.context import HostContext
from bootstrap.errors import GateOpen, StepFailed
from bootstrap.remote_scripts import ETC, RUN, answer, python
from bootstrap.rendered_config import vllm_config
from bootstrap.vllm import VllmServer
from bootstrap.warm_cache import bring, warm_key


def start_vllm(context: HostContext) -> None:
    """Drain, then (re)start vLLM with the spec's configuration. `open_gate` waits for its answer."""
    context.drain()
    context.vllm_began = context.clock.monotonic()
    _bring_warm_cache(context)
    context.host.put(vllm_config(context.spec, context.facts).strip().encode(), f"{ETC}/vllm.wanted", 0o600)
    context.restart("vllm")


def open_gate(context: HostContext) -> None:
    """Wait until vLLM answers, open the gate, prove from inside whom it lets in, and remove other weights."""
    spec = context.spec
    VllmServer(context.host, context.clock, spec.name, spec.served_model).await_answer()
    if context.vllm_began is not None:
        seconds = context.clock.monotonic() - context.vllm_began
        context.report_progress("start", f"vLLM answered inside after {seconds:.1f} s")
    context.shell(f"rm -f {RUN}/leaving.closed; touch {RUN}/open", "the gate could not be opened")
    _prove_gate(context)
    keep = f"! -name {spec.model.digest} ! -name {spec.model.digest}.verified"
    others = f"find /workspace/models -mindepth 1 -maxdepth 1 {keep} -exec rm -rf {{}} +"
    context.shell(others, "weights that are not needed any more could not be removed")


def _bring_warm_cache(context: HostContext) -> None:
    if not context.spec.warm_start:
        return
    archive = context.services.warm_archive(warm_key(context.spec, context.facts))
    if not archive:
        return
    if problem := bring(context.host, context.spec.name, archive):
        context.report_progress("warm start", f"the kept compile cache is not used: {problem}")
    else:
        size = f"{len(archive) / 1e6:.1f} MB"
        context.report_progress("warm start", f"compile cache of an earlier start: {size}")


def _prove_gate(context: HostContext) -> None:
    """Ask through the gate with and without the token; close it again and raise if an answer is wrong."""
    spec = context.spec
    request = {"port": spec.port, "model": spec.served_model}
    seen = answer(python(context.host, "prove_gate.py", request, timeout=240), "the gate's proof")
    if seen["stranger"] != 401 or seen["client"] != 200:
        context.shell(f"rm -f {RUN}/open", "the gate could not be closed")
        answers = f"the gate answers {seen['stranger']} without a token and {seen['client']} with it, not 401 and 200"
        raise (GateOpen if seen["stranger"] == 200 else StepFailed)(f"{spec.name}: {answers}")
