"""Laid into an image's Python and imported at its every start: ends vLLM's API server when the fault file says so."""

import os
import signal
import sys

FAULTS_FILE = "/etc/sandbox-faults"
API_SERVER = "vllm.entrypoints.openai.api_server"


def die_if_asked() -> None:
    """Kill this process, as a kernel short of memory would, if it is the API server and `vllm_dies` is set."""
    if API_SERVER not in sys.orig_argv:
        return
    try:
        with open(FAULTS_FILE) as file:  # noqa: PTH123 - pathlib would cost every start of Python in the host
            asked = "vllm_dies" in file.read().split()
    except OSError:
        return
    if asked:
        sys.stderr.write("The sandbox's fault vllm_dies kills this process.\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)


die_if_asked()
