"""The last lines of an instance's vLLM, over SSH with the host key that its log named: `make log NAME=chat-0`.

    python -m tools.log --stack local --name chat-0 [--lines 50] [--of vllm|gate|agent|vmagent|supervisor]

Address, keys and fingerprint come from the stack's state; they stay in this process.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from typing import Any

from bootstrap.clock import SystemClock
from bootstrap.errors import BootstrapError
from bootstrap.ssh import connect
from tools.advice import StackError, maker, read, silent

TYPE = "pulumi-python:dynamic/vast:Instance"
LOOK_SECONDS = 5.0
CONNECT_SECONDS = 15.0


class LogError(Exception):
    """There is no such instance, or its state cannot be read; the message is a sentence for the operator."""


def main(arguments: list[str]) -> int:
    """Print the log."""
    parser = argparse.ArgumentParser(prog="python -m tools.log", description=__doc__.splitlines()[0])
    parser.add_argument("--stack", default="local")
    parser.add_argument("--name", default="", help="the instance, such as chat-0; the first one by default")
    parser.add_argument("--lines", type=int, default=50)
    parser.add_argument("--of", choices=("vllm", "gate", "agent", "vmagent", "supervisor"), default="vllm")
    options = parser.parse_args(arguments)
    try:
        outputs = pick(instances(options.stack), options.name, options.stack)
        print(tail(outputs, options.of, options.lines, options.stack), end="")
    except (LogError, StackError, BootstrapError) as error:
        print(f"make log: {error}", file=sys.stderr)
        return 1
    return 0


def instances(stack: str) -> dict[str, dict[str, Any]]:
    """Return the outputs of the stack's instances by name, secrets in plain."""
    resources = read(stack, "stack", "export")["deployment"].get("resources", [])
    found = [plain(resource["outputs"]) for resource in resources if resource["type"] == TYPE]
    return {str(outputs["name"]): outputs for outputs in found}


def pick(found: dict[str, dict[str, Any]], name: str, stack: str) -> dict[str, Any]:
    """Return one instance. Raises LogError naming those there are."""
    if not found:
        raise LogError(f"the stack {stack} has no instance; {maker(stack)} brings those of its config online")
    if name and name not in found:
        raise LogError(f"there is no instance {name}; the stack has {', '.join(sorted(found))}")
    return found[name or min(found)]


def tail(outputs: dict[str, Any], what: str, lines: int, stack: str) -> str:
    """Log in and return the last lines. Raises LogError, at once where nobody listens, and BootstrapError."""
    address, _, port = str(outputs["ssh"]).rpartition(":")
    try:
        # connect() tries again for a while, as one must with a host that boots; an instance in state has booted.
        socket.create_connection((address, int(port)), LOOK_SECONDS).close()
    except OSError as error:
        cause = error.strerror or str(error)
        raise LogError(silent(str(outputs["name"]), f"{address}:{port}", stack, cause)) from None
    key, pinned = outputs["access"]["sshPrivateKey"], str(outputs["hostKey"])
    host = connect(address, int(port), key, pinned, SystemClock(), CONNECT_SECONDS, lambda *_: None)
    try:
        result = host.run(f"tail -n {lines} /var/log/gpu-fleet/{what}.log")
    finally:
        host.close()
    if result.status:
        raise LogError(f"{outputs['name']} has no such log yet: {result.tail()}")
    return result.stdout


def plain(value: Any) -> Any:
    """Return a value of `stack export --show-secrets` with its secrets unwrapped."""
    if isinstance(value, dict):
        if "plaintext" in value:
            return plain(json.loads(value["plaintext"]))
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
