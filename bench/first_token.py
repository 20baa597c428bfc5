"""Running to first completion through the whole chain, over the same vLLM started bare on this machine.

The chain: from an instance that runs to its answer through the gate, as its phases in state say (connect to probe).
Bare: the same vLLM on the same interpreter, with the same arguments, environment and model, from the process's start to
its first completion on loopback. Both in turns, so that whatever else the machine does meets both, and after one bare
start that does not count, so that neither reads vLLM from the disk.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx

from bench._cloud import Cloud, instances, running_cloud
from bench._figures import figure
from bootstrap.rendered_config import ENVIRONMENT
from bootstrap.spec import EndpointSpec
from sandbox.hosts.images import Images, default_cache, make_venv, python_version
from sandbox.model import write as write_model
from sandbox.services.ports import choose
from tests.doubles.pulumi_stack import end_group, sandbox_config
from weights.manifest import Manifest

TURNS = 2
TIME_SCALE = 30.0
GOAL = 1.1
DEADLINE_S = 240.0
LOOK_S = 0.05
PHASES = ("connect", "preflight", "install", "fetch weights", "start", "probe")


def main() -> None:
    """Measure and print."""
    fleet = sandbox_config("", TIME_SCALE, "")["gpu-fleet:fleets"]["chat"]
    bare, chain = [], []
    with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name, running_cloud(TIME_SCALE, "real") as cloud:
        folder = Path(name)
        model = write_model(folder / "tiny")
        python = environment(folder / "venv")
        bare_start(python, fleet, model, folder)
        for _turn in range(TURNS):
            bare.append(bare_start(python, fleet, model, folder))
            phases = phases_of_chain(cloud)
            chain.append(sum(phases.values()))
            parts = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in phases.items())
            print(f"bare {bare[-1]:.2f} s; chain {chain[-1]:.2f} s = {parts}", flush=True)
    figure("running to first completion over bare vLLM", sum(chain) / sum(bare), "ratio", GOAL)


def phases_of_chain(cloud: Cloud) -> dict[str, float]:
    """Bring one instance online and return the seconds of its phases from running to its first completion."""
    with cloud.stack(replicas=1) as stack:
        stack.up()
        (row,) = instances(stack)
        return {phase: float(row["phases"][phase]) for phase in PHASES}


def environment(folder: Path) -> Path:
    """Make a venv as hosts get it, the machine's own Python over what set-up installed, and return its interpreter."""
    (installed,) = [place for layer, _ in Images("real", default_cache()).layers("vllm") for place in layer[1:]]
    make_venv(folder)
    packages = Path("lib", f"python{python_version()}", "site-packages")
    (folder / packages).rmdir()
    (folder / packages).symlink_to(installed / packages)
    return folder / "bin" / "python"


def bare_start(python: Path, fleet: dict[str, Any], model: Manifest, folder: Path) -> float:
    """Start vLLM as a host would, with a home of its own; return the seconds to its first completion, and end it."""
    (port,) = choose(1)
    with tempfile.TemporaryDirectory(dir=folder) as home:
        variables = {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", **ENVIRONMENT}
        began = time.perf_counter()
        with (folder / "vllm.log").open("wb") as log:
            child = subprocess.Popen(
                [str(python), *arguments(fleet, model, folder / "tiny", port)],
                env=variables | fleet["environment"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )
        try:
            while not completes(port):
                if child.poll() is not None or time.perf_counter() - began > DEADLINE_S:
                    tail = (folder / "vllm.log").read_text(errors="replace")[-2000:]
                    raise SystemExit(f"the bare vLLM did not answer (status {child.poll()}):\n{tail}")
                time.sleep(LOOK_S)
            return time.perf_counter() - began
        finally:
            end_group(child)


def arguments(fleet: dict[str, Any], model: Manifest, weights: Path, port: int) -> list[str]:
    """Return vLLM's arguments as a host's order has them, with this machine's folder and port."""
    spec = EndpointSpec(
        name="bare",
        model=model,
        kit=model,
        served_model=fleet["model"],
        token="b" * 43,
        addresses=("127.0.0.1",),
        vllm_args=tuple(fleet["vllmArguments"]),
    )
    asked = [f"--port={port}" if word == "--port=8000" else word for word in spec.vllm_arguments]
    return ["-m", "vllm.entrypoints.openai.api_server", "--model", str(weights), *asked]


def completes(port: int) -> bool:
    """Say whether vLLM answers a completion."""
    try:
        if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code != 200:
            return False
        body = {"model": "tiny", "prompt": "Hello", "max_tokens": 1}
        return httpx.post(f"http://127.0.0.1:{port}/v1/completions", json=body, timeout=60).status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
