"""Makes vLLM's API server fail as the fault file asks. The image's Python imports this at every start."""

import itertools
import os
import signal
import sys
import threading
import time

FAULTS_FILE = "/etc/sandbox-faults"
API_SERVER = "vllm.entrypoints.openai.api_server"
ENGINE = "VLLM::EngineCor"  # the kernel keeps 15 characters of the engine process's name
LOOK_SECONDS = 0.1
OUT_OF_MEMORY = """(EngineCore) INFO [gpu_worker.py] Warming up
(EngineCore) ERROR [core.py] EngineCore failed to start.
(EngineCore) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of \
23.64 GiB of which 1.12 GiB is free.
RuntimeError: Engine core initialization failed. See root cause above.
"""

# vLLM's API server ends with this line after any failure of its engine.
ENGINE_FAILED = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}\n"
GPU_TOO_SMALL = f"""(EngineCore) ERROR [core.py:1100] EngineCore failed to start.
(EngineCore) ERROR [core.py:1100] ValueError: No available memory for the cache blocks. Try increasing \
`gpu_memory_utilization` when initializing the engine.
{ENGINE_FAILED}"""
GPU_TOO_OLD = """pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig
  Value error, Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your 'Tesla T4' GPU has compute \
capability 7.5. You can use float16 instead by explicitly setting the `dtype` flag in CLI, for example: --dtype=half.
"""
LAST_WORDS = {
    "vllm_out_of_memory": OUT_OF_MEMORY,
    "vllm_gpu_too_small": GPU_TOO_SMALL,
    "vllm_gpu_too_old": GPU_TOO_OLD,
}


def faults() -> dict[str, float]:
    """Return the fault file's lines, name -> value."""
    try:
        with open(FAULTS_FILE) as file:  # noqa: PTH123 - importing pathlib would slow every start of Python in the host
            lines = [line.split() for line in file]
    except OSError:
        return {}
    return {line[0]: float(line[1]) for line in lines if len(line) == 2}


def begin() -> None:
    """Fail at once if the file asks for it, or else start the watch for later faults. Acts in the API server's
    process only.
    """
    if API_SERVER not in sys.orig_argv and not any(
        program.endswith("/vllm") and command == "serve" for program, command in itertools.pairwise(sys.orig_argv)
    ):
        return
    asked = faults()
    if "vllm_dies" in asked:
        log("The sandbox's fault vllm_dies kills this process.\n")
        os.kill(os.getpid(), signal.SIGKILL)
    for fault, words in LAST_WORDS.items():
        if fault in asked:
            log(words)
            os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


def watch() -> None:
    """Kill this process when its time is over, and stop its engine while the file asks for a hang."""
    began, hangs = time.monotonic(), False
    while True:
        asked = faults()
        if 0 < asked.get("vllm_lives_s", 0) <= time.monotonic() - began:
            log("The sandbox's fault vllm_dies_later kills this process.\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if hangs != ("vllm_hangs" in asked):
            hangs = not hangs
            for engine in engines():
                os.kill(engine, signal.SIGSTOP if hangs else signal.SIGCONT)
        time.sleep(LOOK_SECONDS)


def engines() -> list[int]:
    """Return the process ids of the engine, which runs in its own process."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123 - as above
        children = file.read().split()
    return [int(child) for child in children if name(child) == ENGINE]


def name(process: str) -> str:
    """Return the kernel's name of a process."""
    try:
        with open(f"/proc/{process}/comm") as file:  # noqa: PTH123 - as above
            return file.read().strip()
    except OSError:
        return ""


def log(text: str) -> None:
    """Write to the log."""
    sys.stderr.write(text)
    sys.stderr.flush()


begin()
