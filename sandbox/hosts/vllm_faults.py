"""Faults of vLLM on a host. A file inside carries them; the fake vLLM and each start of the real vLLM read it."""

from sandbox.hosts.host import NamespaceHost

FAULTS_FILE = "/etc/sandbox-faults"


def vllm_dies(host: NamespaceHost, *, on: bool = True) -> None:
    """Let each start of vLLM end as if the kernel had killed it for its memory."""
    _mark(host, vllm_dies=int(on))


def vllm_out_of_memory(host: NamespaceHost, *, on: bool = True) -> None:
    """Let each start of vLLM end with vLLM's message that the warm-up does not fit into the GPU's memory."""
    _mark(host, vllm_out_of_memory=int(on))


def vllm_gpu_too_small(host: NamespaceHost, *, on: bool = True) -> None:
    """Let each start of vLLM end with vLLM's message that the weights leave no room for the cache."""
    _mark(host, vllm_gpu_too_small=int(on))


def vllm_gpu_too_old(host: NamespaceHost, *, on: bool = True) -> None:
    """Let each start of vLLM end with vLLM's message that the GPU lacks the model's data type."""
    _mark(host, vllm_gpu_too_old=int(on))


def vllm_hangs(host: NamespaceHost, *, on: bool = True) -> None:
    """Freeze vLLM's engine: its health check passes, and it answers no completion."""
    _mark(host, vllm_hangs=int(on))


def vllm_dies_later(host: NamespaceHost, *, on: bool = True, seconds: float = 20) -> None:
    """Kill vLLM so many seconds after each of its starts."""
    _mark(host, vllm_lives_s=seconds if on else 0)


def vllm_broken(host: NamespaceHost, *, on: bool = True) -> None:
    """Let vLLM pass its health check and end at the first request. Only the fake vLLM can do this."""
    _mark(host, vllm_broken=int(on))


def vllm_slow(host: NamespaceHost, *, on: bool = True, start_s: float = 0, latency_s: float = 0) -> None:
    """Delay vLLM's start and its answers by so many seconds. Only the fake vLLM can do this."""
    _mark(host, vllm_start_s=start_s if on else 0, vllm_latency_s=latency_s if on else 0)


def _mark(host: NamespaceHost, **values: float) -> None:
    host.marks.update(values)
    host.namespaces.write(FAULTS_FILE, "".join(f"{name} {value:g}\n" for name, value in host.marks.items() if value))


FAULTS = (
    vllm_dies,
    vllm_out_of_memory,
    vllm_gpu_too_small,
    vllm_gpu_too_old,
    vllm_hangs,
    vllm_dies_later,
    vllm_broken,
    vllm_slow,
)
