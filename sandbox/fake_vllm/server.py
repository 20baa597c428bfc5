"""A fake of vLLM's API server: the same start command, routes, open ports, exits and child process, and no model.

knobs.py describes how it misbehaves on demand.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sandbox.fake_vllm import arguments as command_line
from sandbox.fake_vllm import knobs
from sandbox.fake_vllm.http import serve_connection
from sandbox.fake_vllm.routes import VERSION, Routes
from sandbox.fake_vllm.weights import load

SHM = "/dev/shm"
SHM_MB = 160
MIB = 1 << 20
CHILD_NAME = b"VLLM::EngineCor"  # the kernel keeps 15 characters of the real one's name


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM. Return the exit status: 0, or 1 if it cannot serve the model on this machine."""
    asked = command_line.parse(argv)
    log(f"vLLM API server version {VERSION} (the sandbox's double: it computes nothing)")
    try:
        demand_shared_memory()
        model = load(asked.model, asked.max_model_len)
    except (ValueError, RuntimeError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    compile_cache()
    child = fork_engine()
    time.sleep(knobs.read(os.environ).start)
    given = asked.api_key if asked.api_key is not None else [os.environ.get("VLLM_API_KEY", "")]
    routes = Routes(
        asked.served_model_name,
        model.context,
        {key for key in given if key},
        lambda: knobs.read(os.environ),
        lambda: os.kill(child, signal.SIGKILL),
        docs=not asked.disable_fastapi_docs,
    )
    try:
        return asyncio.run(serve(routes, asked.host, asked.port, child))
    except OSError as error:
        sys.stderr.write(f"OSError: {error}\n")
        return 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def compile_cache() -> None:
    """Write a file at the place of vLLM's torch.compile cache if VLLM_CACHE_ROOT is set; log whether it existed."""
    root = os.environ.get("VLLM_CACHE_ROOT")
    if root:
        graph = Path(root, "torch_compile_cache", "double", "graph.py")
        log(f"compile cache: {'found' if graph.exists() else 'made'}")
        graph.parent.mkdir(parents=True, exist_ok=True)
        graph.write_text("# the double compiles nothing\n")


async def serve(routes: Routes, host: str, port: int, child: int) -> int:
    """Listen until a signal (status 0) or until the engine's process is gone (status 1)."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(status: int) -> None:
        if not ended.done():
            ended.set_result(status)

    def child_changed() -> None:
        if os.waitpid(child, os.WNOHANG)[0]:
            sys.stderr.write("EngineDeadError: EngineCore encountered an issue.\n")
            end(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, 0)
    loop.add_signal_handler(signal.SIGCHLD, child_changed)
    keep_alive = float(os.environ.get("VLLM_HTTP_TIMEOUT_KEEP_ALIVE") or 5)

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_connection(routes, reader, writer, keep_alive)

    server = await asyncio.start_server(serve_one, host, port)
    log("Application startup complete.")
    status = await ended
    server.close()
    return status


def demand_shared_memory() -> None:
    """Raise RuntimeError if /dev/shm is as small as a container's default, as the real vLLM does."""
    room = os.statvfs(SHM)
    free = room.f_bavail * room.f_frsize // MIB
    if free < SHM_MB:
        raise RuntimeError(
            f"Insufficient space in {SHM} for shared-memory allocation: {SHM_MB} MiB required, {free} MiB free"
        )


def fork_engine() -> int:
    """Start the process that stands for vLLM's engine, and return its id.

    It does not notice the death of its parent. A supervisor that forgets it leaves it running, as with the real vLLM.
    """
    child = os.fork()
    if child == 0:
        Path("/proc/self/comm").write_bytes(CHILD_NAME)
        while True:
            signal.pause()
    return child


def log(text: str) -> None:
    """Write one line in the form of vLLM's log."""
    sys.stderr.write(time.strftime("(APIServer pid={}) INFO %m-%d %H:%M:%S [api_server.py] ").format(os.getpid()))
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
