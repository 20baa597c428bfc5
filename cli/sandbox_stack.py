"""`gpu-fleet up` and `gpu-fleet down`: the sandbox and the stack `local` on it, from nothing to endpoints and back.

The sandbox is given up only when its market itself says that nothing is billed any more.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click

from cli.command import command
from tools import env, paths

STACK = "local"
DESTROY = ("--yes", "--skip-preview", "--continue-on-error")
STATUS = ("python", "-m", "sandbox", "status", "--json")


class Shell:
    """Runs commands with this terminal; CalledProcessError where one fails."""

    def call(self, *words: str) -> None:
        """Run a command to its end."""
        subprocess.run(words, check=True)

    def output(self, *words: str) -> str:
        """Run a command and return its stdout; its stderr goes to the terminal."""
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


@command("up")
@click.option("--vllm", type=click.Choice(("real", "double")), default="real", help="Which vLLM emulated hosts run.")
@click.option("--monitoring", type=click.Choice(("on", "off")), default="on", help="Prometheus, Alertmanager, cluster.")
def up(vllm: str, monitoring: str) -> int:
    """Start the sandbox and bring the stack `local` up on it, to endpoints that answer."""
    return _in_sandbox("up", monitoring, lambda: go_up(Shell(), vllm, monitoring))


@command("down")
def down() -> int:
    """Give everything back, show the market's meter at nought, and stop the sandbox."""
    return _in_sandbox("down", "on", lambda: go_down(Shell()))


def _in_sandbox(direction: str, monitoring: str, go: Callable[[], None]) -> int:
    """Go up or down in the sandbox's environment; the exit status is that of the first command that failed."""
    where = paths.find(env.CHECKOUT, os.environ)
    env.enter(env.sandbox_environment(where, os.environ) | without_cluster(monitoring))
    where.backend.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chdir(where.checkout)
    # Ctrl-C is for the command that runs: Pulumi then ends in good order, and this process waits for it. A handler,
    # not "ignore", because commands would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        go()
    except subprocess.CalledProcessError as error:
        print(f"gpu-fleet {direction}: `{' '.join(error.cmd)}` failed.", file=sys.stderr)
        return error.returncode if error.returncode > 0 else 1
    return 0


def without_cluster(monitoring: str) -> dict[str, str]:
    """Return what tells the program that there is no cluster."""
    return {"GPU_FLEET_KUBERNETES": "off"} if monitoring == "off" else {}


def go_up(shell: Shell, vllm: str, monitoring: str) -> None:
    """Start the sandbox, bring the stack up on it and show its endpoints.

    --refresh, because hosts of a sandbox that was restarted are gone and state does not know it. No separate preview:
    nobody is asked, and the same checks run before anything is rented.
    """
    shell.call("python", "-m", "sandbox", "up", "--vllm", vllm, "--monitoring", monitoring)
    known = stacks(shell)
    if STACK not in known:
        shell.call("pulumi", "stack", "init", STACK, "--no-select")
    if not any(known.values()):
        # So that plain `pulumi config set ...` works after `make env`; another selected stack is the operator's choice.
        shell.call("pulumi", "stack", "select", STACK)
    if record(shell).get("pending_operations"):
        # Creates that were killed: the engine warns of each in every command until a refresh is told to drop them.
        clear = ("--clear-pending-creates", "--yes", "--skip-preview")
        shell.call("pulumi", "refresh", "--stack", STACK, *clear)
    shell.call("pulumi", "up", "--stack", STACK, "--refresh", "--yes", "--skip-preview")
    shell.call("python", "-m", "sandbox", "status")
    shell.call("python", "-m", "tools.table", STACK)


def go_down(shell: Shell) -> None:
    """Give everything back, have the market itself confirm that nothing is billed, and stop the sandbox.

    It always ends the same way: no sandbox, and no record of the stack, which has nothing left to say; its config stays,
    and `make up` makes it anew. Without a running sandbox there is no market to give anything back to: what it rented
    ended with it. What is left then is the stack's record, and its bucket in the sandbox's store, which a new stack
    could not take over; both are removed, the record last, so that a `make down` that was interrupted can be repeated.
    """
    known = STACK in stacks(shell)
    if market(shell) is None:
        if known:
            shell.call("python", "-m", "sandbox", "clean")
            shell.call("pulumi", "stack", "rm", STACK, "--yes", "--force", "--preserve-config")
        print("The sandbox is not running: nothing is rented.")
        return
    if known and record(shell):
        # What cannot be deleted, as in a cluster that is down, must not keep an instance rented.
        shell.call("pulumi", "destroy", "--stack", STACK, *DESTROY)
        if record(shell).get("resources"):
            # A destroy runs the program, which makes anew what the record lacks of providers and components.
            shell.call("pulumi", "destroy", "--stack", STACK, *DESTROY, "--run-program=false")
    left = market(shell)
    if left is None:
        print("The sandbox ended before its market could confirm that nothing is billed.", file=sys.stderr)
        raise subprocess.CalledProcessError(1, list(STATUS))
    print(f"The market's own meter: {len(left['instances'])} instances, ${left['usd_per_hour']:.2f} an hour.")
    complaint = billed(left)
    if complaint:
        print(complaint, file=sys.stderr)
        raise subprocess.CalledProcessError(1, list(STATUS))
    if known:
        # Without --force: a record that still holds something is refused.
        shell.call("pulumi", "stack", "rm", STACK, "--yes", "--preserve-config")
    shell.call("python", "-m", "sandbox", "down")


def record(shell: Shell) -> dict[str, Any]:
    """Return what the stack's record holds, by `pulumi stack export`; empty where it holds nothing."""
    found = json.loads(shell.output("pulumi", "stack", "export", "--stack", STACK)).get("deployment") or {}
    return {key: found[key] for key in ("resources", "pending_operations") if found.get(key)}


def market(shell: Shell) -> dict[str, Any] | None:
    """Return what the sandbox's market says of itself, None where no sandbox runs."""
    found: dict[str, Any] | None = json.loads(shell.output(*STATUS)).get("market")
    return found


def billed(left: dict[str, Any]) -> str:
    """Return a sentence where the market still bills something, else an empty text."""
    if not left["instances"] and not left["usd_per_hour"]:
        return ""
    labels = ", ".join(str(i.get("label") or i.get("id")) for i in left["instances"])
    return (
        f"The market still bills ${left['usd_per_hour']:.2f} an hour for: {labels or 'nothing listed'}. "
        "The sandbox is left running; look with `python -m sandbox status`."
    )


def stacks(shell: Shell) -> dict[str, bool]:
    """Return the names of this project's stacks, without their qualification, and whether each is the selected one."""
    listed = json.loads(shell.output("pulumi", "stack", "ls", "--json"))
    return {stack["name"].rsplit("/", 1)[-1]: bool(stack.get("current")) for stack in listed}
