"""`gpu-fleet log`: the last lines of an instance's vLLM, over SSH with the host key that its log named.

Address, keys and fingerprint come from the stack's state; they stay in this process.
"""

from __future__ import annotations

import socket
from typing import Any

import click

from bootstrap.clock import SystemClock
from bootstrap.connect import connect
from bootstrap.errors import BootstrapError
from cli.command import command, stack_option
from cli.errors import CommandError
from cli.instances import pick
from cli.stacks import chosen, silent

LOGS = ("vllm", "gate", "agent", "vmagent", "supervisor")
LOOK_SECONDS = 5.0
CONNECT_SECONDS = 15.0


@command("log", BootstrapError)
@click.argument("name", default="")
@click.option("--lines", default=50, show_default=True, help="How many lines.")
@click.option("--of", "what", type=click.Choice(LOGS), default="vllm", show_default=True, help="The program.")
@stack_option
def log(name: str, lines: int, what: str, stack: str | None) -> None:
    """Print the last lines that a program on an instance wrote.

    NAME is the instance, such as chat-0, or burst-s0 of an elastic fleet; without it, the first one.
    """
    owner, outputs = pick(chosen(stack), name)
    print(tail(outputs, what, lines, owner), end="")


def tail(outputs: dict[str, Any], what: str, lines: int, stack: str) -> str:
    """Log in and return the last lines. Raises CommandError, at once if no program listens, and BootstrapError."""
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
