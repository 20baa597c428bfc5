"""Check that a machine is as advertised, before anything big is downloaded.

The rules are pure but for `disk`, which lets the host write for a few seconds. Each rule has a bound in stack config and a
reason of the ledger's closed list.
"""

from bootstrap.errors import PreflightFailed
from bootstrap.facts import Facts, Gpu
from bootstrap.gpu_names import shows
from bootstrap.host import Host
from bootstrap.remote_scripts import answer, python
from bootstrap.spec import EndpointSpec, Preflight

LARGE_BYTES = 1e9  # the disk's speed does not matter for smaller weights
WRITTEN_BYTES, WRITING_SECONDS = 256 * 2**20, 4.0
ROUNDING = 0.001
LEAST_PIDS = 512  # vLLM, its compilers and our services together
MANY_PIDS = 8192


def preflight(spec: EndpointSpec, facts: Facts, now: float) -> str:
    """Check the facts and describe the machine in one line; `now` in unix seconds. Raises PreflightFailed.

    A machine that serves, or served before, must only pass the checks that an update needs. It was rented by other rules,
    and its serving proves more than these do. The line still names the bound that it breaks.
    """
    _check_needed(spec.preflight, facts)
    unknown, lacks = [], ""
    try:
        unknown = _check_advertised(spec.preflight, facts, now)
    except PreflightFailed as error:
        if not facts.served:
            raise
        lacks = f"; it served before and is kept, although {error}"
    driver = f", driver {facts.gpus[0].driver}" if facts.gpus else ""
    few = facts.pids_max is not None and facts.pids_max < MANY_PIDS
    threads = f", at most {facts.pids_max} processes and threads" if few else ""
    return (
        f"{_describe_gpus(facts)}{driver}, {facts.cpu_cores:g} processors, {facts.memory_mb / 1000:.0f} GB memory, "
        f"{facts.shm_free_mb} MB shared memory, {facts.disk_free_mb / 1000:.1f} GB disk free{threads}"
        + "".join(f"; not known: {one}" for one in unknown)
        + lacks
    )


def disk(host: Host, spec: EndpointSpec) -> str:
    """Let the host write to the weights' disk and describe its speed; empty without a bound or for small weights.

    Raises PreflightFailed, and StepFailed if nothing could be written.
    """
    least = spec.preflight.disk_mbps
    if not least or spec.model.total_bytes < LARGE_BYTES:
        return ""
    request = {"folder": "/workspace", "bytes": WRITTEN_BYTES, "seconds": WRITING_SECONDS}
    seen = answer(python(host, "disk_speed.py", request, timeout=30), "the disk's speed")
    mbps = float(seen["bytes"]) * 8 / 1e6 / max(float(seen["seconds"]), 0.001)
    if mbps < least:
        raise PreflightFailed("disk", f"the disk takes {mbps:.0f} Mb/s, {least:.0f} Mb/s are the least")
    return f"the disk takes {mbps:.0f} Mb/s"


def _check_needed(bounds: Preflight, facts: Facts) -> None:
    """Check the needs of new weights and of a start of vLLM on any machine. Raises PreflightFailed."""
    needed = bounds.disk_gb * 1000 if not facts.model_files else 0
    if facts.disk_free_mb * 1.048576 < needed:
        raise PreflightFailed("disk", f"{facts.disk_free_mb} MB of disk are free, {needed:.0f} MB are needed")
    if facts.python is None:
        raise PreflightFailed("system", "no Python on the host knows vLLM: is the image one with vLLM in it?")


def _check_advertised(bounds: Preflight, facts: Facts, now: float) -> list[str]:
    """Check the hardware and return the facts that could not be checked. Raises PreflightFailed."""
    unknown = _check_gpus(bounds, facts)
    started = facts.vllm_started is not None  # a running vLLM already holds its shared memory
    if facts.shm_free_mb < bounds.shm_mb and not started:
        raise PreflightFailed(
            "shm",
            f"shared memory has {facts.shm_free_mb} MB free and vLLM needs {bounds.shm_mb} MB; it would die at start",
        )
    if facts.cpu_cores < bounds.cpu_cores:
        raise PreflightFailed("cpu", f"{facts.cpu_cores:g} processors may be used, {bounds.cpu_cores:g} are the least")
    if facts.memory_mb < bounds.memory_mb:
        raise PreflightFailed(
            "memory", f"there are {facts.memory_mb} MB of memory, {bounds.memory_mb:.0f} MB are the least"
        )
    if facts.pids_max is not None and facts.pids_max < LEAST_PIDS:
        raise PreflightFailed(
            "system",
            f"the container may have {facts.pids_max} processes and threads, {LEAST_PIDS} are the least for vLLM",
        )
    return [*unknown, *_check_clock(bounds, facts, now)]


def _check_clock(bounds: Preflight, facts: Facts, now: float) -> list[str]:
    if not bounds.clock_seconds:
        return []
    if facts.clock is None:
        return ["how far the host's clock is off"]
    off = abs(facts.clock - now)
    if off > bounds.clock_seconds:
        raise PreflightFailed(
            "clock", f"the host's clock is off by {off:.0f} s, {bounds.clock_seconds:.0f} s are allowed"
        )
    return []


def _check_gpus(bounds: Preflight, facts: Facts) -> list[str]:
    """Check the GPUs and return the facts that could not be checked. Raises PreflightFailed."""
    seen = _describe_gpus(facts)
    unknown = []
    if bounds.gpu_count and len(facts.gpus) != bounds.gpu_count:
        raise PreflightFailed("gpu", f"nvidia-smi shows {seen}, {bounds.gpu_count} GPUs were rented")
    for gpu in facts.gpus[: bounds.gpu_count]:
        verdicts = [shows(name, gpu.name) for name in bounds.gpu_names]
        if verdicts and all(verdict is False for verdict in verdicts):
            raise PreflightFailed("gpu", f"nvidia-smi shows {seen}, {' or '.join(bounds.gpu_names)} was rented")
        if verdicts and True not in verdicts:
            unknown.append(f"whether {gpu.name} is {' or '.join(bounds.gpu_names)}")
        if gpu.memory_mb < bounds.gpu_ram_mb * 0.95:
            raise PreflightFailed("gpu", f"{gpu.name} has {gpu.memory_mb} MB, {bounds.gpu_ram_mb} MB were asked for")
        unknown += _check_health(bounds, gpu)
    return [*unknown, *_check_cuda(bounds, facts), *_check_capability(bounds, facts)]


def _check_cuda(bounds: Preflight, facts: Facts) -> list[str]:
    if not bounds.cuda:
        return []
    if facts.cuda is None:
        if bounds.cuda_required:
            raise PreflightFailed(
                "gpu", f"which CUDA the driver supports cannot be read, and minCuda asks for {bounds.cuda:g}"
            )
        return [f"whether the driver supports CUDA {bounds.cuda:g}"]
    if facts.cuda + ROUNDING < bounds.cuda:
        raise PreflightFailed("gpu", f"the driver supports CUDA {facts.cuda:g}, the image needs {bounds.cuda:g}")
    return []


def _check_capability(bounds: Preflight, facts: Facts) -> list[str]:
    known = [capability for capability in facts.capabilities if capability is not None]
    if known and min(known) + ROUNDING < bounds.capability:
        raise PreflightFailed(
            "gpu", f"{_describe_gpus(facts)} has compute capability {min(known):g}, {bounds.capability:g} is needed"
        )
    if bounds.capability and len(known) < max(1, len(facts.gpus)):
        return [f"whether the GPU has compute capability {bounds.capability:g}"]
    return []


def _check_health(bounds: Preflight, gpu: Gpu) -> list[str]:
    if gpu.ecc_errors:  # None on GPUs without error correction
        raise PreflightFailed("gpu", f"{gpu.name} has {gpu.ecc_errors} uncorrected memory errors")
    if not bounds.gpu_celsius:
        return []
    if gpu.celsius is None:
        return [f"how hot {gpu.name} is"]
    if gpu.celsius > bounds.gpu_celsius:
        raise PreflightFailed(
            "gpu", f"{gpu.name} is at {gpu.celsius} C before any work, {bounds.gpu_celsius:g} C are allowed"
        )
    return []


def _describe_gpus(facts: Facts) -> str:
    return f"{len(facts.gpus)} x {facts.gpus[0].name}" if facts.gpus else "no GPU"
