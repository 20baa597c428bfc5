"""`make up`: set-up, then the sandbox's stack. What endpoints need comes first; monitoring and the cluster follow.

    python3 -m tools.up [--vllm real|double] [--monitoring on|off] [--kubernetes api|node]

The programs of monitoring take minutes to build. On a machine without them the endpoints answer before that, and a second
`gpu-fleet up` adds monitoring to the running sandbox. An interruption then costs no endpoint.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from offline import golang, monitoring
from tools.env import CHECKOUT
from tools.machine import paths

Call = Callable[[Sequence[str]], int]


def main(arguments: list[str]) -> int:
    """Bring everything up; the exit status is that of the first command that failed."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.up", description=__doc__.splitlines()[0])
    parser.add_argument("--vllm", choices=("real", "double"), default="real", help="which vLLM emulated hosts run")
    parser.add_argument("--monitoring", choices=("on", "off"), default="on", help="whether Prometheus & co. run")
    parser.add_argument("--kubernetes", choices=("api", "node"), default="api", help="whether pods run (docs/node.md)")
    options = parser.parse_args(arguments)
    where = paths.find(CHECKOUT, os.environ)
    lacks = options.monitoring == "on" and bool(golang.missing(where.monitoring_bin, monitoring.NAMES))
    hand_on_interrupts()
    node = options.kubernetes == "node" and options.monitoring == "on"
    return bring_up(options.vllm, options.monitoring, lacks, run, node)


def hand_on_interrupts() -> None:
    """Leave Ctrl-C to the command that runs: it ends in good order while this process waits for it.

    A handler, not "ignore", because commands would inherit that.
    """
    signal.signal(signal.SIGINT, lambda *_: None)


def bring_up(vllm: str, watched: str, endpoints_first: bool, call: Call, node: bool = False) -> int:
    """Call set-up and `gpu-fleet up`, with `endpoints_first` a first time without monitoring. `node`: pods run.

    The sandbox gets its node when it starts, so the node is brought before everything else.
    """
    if node and (status := call(["tools.setup", "--parts", "venv,node"])):
        return status
    more = ["--kubernetes", "node"] if node else []
    if endpoints_first and (status := bring(vllm, "off", "later", call, more)):
        return status
    status = bring(vllm, watched, watched, call, more)
    if status and endpoints_first:
        print(
            "make up: the endpoints are as they were, without monitoring. `make up` goes on with it.", file=sys.stderr
        )
    return status


def bring(vllm: str, parts: str, watched: str, call: Call, more: Sequence[str] = ()) -> int:
    """Set up with or without monitoring's `parts`, then bring the stack up; the status of what failed, or 0."""
    return call(["tools.setup", "--vllm", vllm, "--monitoring", parts]) or call(
        ["tools.env", "--", "gpu-fleet", "up", "--vllm", vllm, "--monitoring", watched, *more]
    )


def run(words: Sequence[str], folder: Path = CHECKOUT) -> int:
    """Run a module of a folder to its end and return its status; 1 for one that a signal ended."""
    status = subprocess.run([sys.executable, "-m", *words], cwd=folder, check=False).returncode
    return status if status >= 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
