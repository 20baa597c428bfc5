"""`gpu-fleet log`: the last lines of an instance's vLLM, over SSH with the host key that its log named.

Address, keys and fingerprint come from the stack's state; they stay in this process.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import click

from bootstrap.clock import SystemClock
from bootstrap.connect import connect
from bootstrap.errors import BootstrapError
from cli.command import command, stack_option
from cli.errors import CommandError
from cli.stacks import chosen, maker, read, silent

TYPE = "pulumi-python:dynamic/vast:Instance"
LOGS = ("vllm", "gate", "agent", "vmagent", "supervisor")
LOOK_SECONDS = 5.0
CONNECT_SECONDS = 15.0


@command("log", BootstrapError)
@click.argument("name", default="")
@click.option("--lines", default=50, show_default=True, help="How many lines.")
@click.option("--of", "what", type=click.Choice(LOGS), default="vllm", show_default=True, help="The program.")
@stack_option
def log(name: str, lines: int, what: str, stack: str | None) -> None:
    """Print the last lines of what a program on an instance wrote.

    NAME is the instance, such as chat-0; without it, the first one.
    """
    stack = chosen(stack)
    print(tail(pick(instances(stack), name, stack), what, lines, stack), end="")


def instances(stack: str) -> dict[str, dict[str, Any]]:
    """Return the outputs of the stack's instances by name, secrets in plain."""
    resources = read(stack, "stack", "export")["deployment"].get("resources", [])
    found = [plain(resource["outputs"]) for resource in resources if resource["type"] == TYPE]
    return {str(outputs["name"]): outputs for outputs in found}


def pick(found: dict[str, dict[str, Any]], name: str, stack: str) -> dict[str, Any]:
    """Return one instance. Raises CommandError naming those there are."""
    if not found:
        raise CommandError(f"the stack {stack} has no instance; {maker(stack)} brings those of its config online")
    if name and name not in found:
        raise CommandError(f"there is no instance {name}; the stack has {', '.join(sorted(found))}")
    return found[name or min(found)]


def tail(outputs: dict[str, Any], what: str, lines: int, stack: str) -> str:
    """Log in and return the last lines. Raises CommandError, at once where nobody listens, and BootstrapError."""
    address, _, port = str(outputs["ssh"]).rpartition(":")
    try:
        # connect() tries again for a while, as one must with a host that boots; an instance in state has booted.
        socket.create_connection((address, int(port)), LOOK_SECONDS).close()
    except OSError as error:
        cause = error.strerror or str(error)
        raise CommandError(silent(str(outputs["name"]), f"{address}:{port}", stack, cause)) from None
    key, pinned = outputs["access"]["sshPrivateKey"], str(outputs["hostKey"])
    host = connect(address, int(port), key, pinned, SystemClock(), CONNECT_SECONDS, lambda *_: None)
    try:
        result = host.run(f"tail -n {lines} /var/log/gpu-fleet/{what}.log")
    finally:
        host.close()
    if result.status:
        raise CommandError(f"{outputs['name']} has no such log yet: {result.tail()}")
    return result.stdout


def plain(value: Any) -> Any:
    """Return a value of `stack export --show-secrets` with its secrets unwrapped."""
    if isinstance(value, dict):
        if "plaintext" in value:
            return plain(json.loads(value["plaintext"]))
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
