"""The sandbox's stack `local`: what `gpu-fleet up` and `gpu-fleet down` know of it and of the market behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cli.engine_run import run_engine
from cli.errors import CommandError
from cli.slots import open_slot
from controller.slot_stack import SlotError
from offline import engine
from providers.elastic import applied as elastic
from providers.elastic.applied import Applied
from tools import env
from tools.machine import paths

STACK = env.SANDBOX_STACK
NO_CLUSTER = {"GPU_FLEET_KUBERNETES": "off"}
CLUSTER = "kubernetes:"  # the beginning of the types of a cluster's objects
STATUS = ("python", "-m", "sandbox", "status", "--json")


class Shell:
    """Runs commands with this terminal; CalledProcessError if one fails."""

    def leave_out_cluster(self) -> None:
        """Have the program declare no cluster from now on."""
        os.environ.update(NO_CLUSTER)

    def call(self, *words: str) -> None:
        """Run a command to its end."""
        subprocess.run(words, check=True)

    def output(self, *words: str) -> str:
        """Run a command and return its stdout; its stderr goes to the terminal."""
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout

    def quiet(self, *words: str) -> None:
        """Run a command that says nothing an operator needs, unless it fails."""
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            print(done.stdout, end="", file=sys.stderr)
            done.check_returncode()

    def forget_slots(self, names: Sequence[str]) -> None:
        """Remove the stacks of slots for which nothing is rented any more, whatever their records say."""
        for name in names:
            try:
                open_slot(STACK, name).remove(force=True)
            except SlotError as error:
                raise CommandError(str(error)) from None

    def engine(self, *words: str) -> None:
        """Run an update of the engine, each phase of an instance shown once."""
        run_engine(words)


def in_sandbox(direction: str, go: Callable[[], None]) -> int:
    """Go up or down in the sandbox's environment; the exit status is that of the first command that failed."""
    where = paths.find(env.CHECKOUT, os.environ)
    refuse_unready(where)
    env.enter(env.sandbox_environment(where, os.environ))
    where.backend.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chdir(where.checkout)
    # Ctrl-C is for the command that runs: Pulumi then ends in good order, and this process waits for it. A handler,
    # not "ignore", because commands would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        go()
    except subprocess.CalledProcessError as error:
        print(f"gpu-fleet {direction}: `{' '.join(error.cmd)}` failed. {_way_on(direction)}", file=sys.stderr)
        return error.returncode if error.returncode > 0 else 1
    return 0


def refuse_unready(where: paths.Paths) -> None:
    """Raise CommandError with the command that helps if set-up has not run, or if the stack's committed config is gone."""
    if not (engine.own_pulumi(where, os.environ) or where.engine_bin.is_dir()):
        raise CommandError("set-up has not run for this checkout; `make setup` brings what is missing")
    name = f"Pulumi.{STACK}.yaml"
    if not (where.checkout / name).is_file():
        raise CommandError(
            f"{name}, the config of the sandbox's stack, is missing in {where.checkout}. It is committed: "
            f"`git checkout {name}` brings it back."
        )


def _way_on(direction: str) -> str:
    again = f"`make {direction}` goes on from here"
    return f"{again}; `make down` gives everything back." if direction == "up" else f"{again}."


def record(shell: Shell) -> dict[str, Any]:
    """Return what the stack's record holds, by `pulumi stack export`; empty if it holds nothing."""
    found = json.loads(shell.output("pulumi", "stack", "export", "--stack", STACK)).get("deployment") or {}
    return {key: found[key] for key in ("resources", "pending_operations") if found.get(key)}


def applied(shell: Shell) -> Applied | None:
    """Return what the stack's last update says of elastic fleets; None if it has none, and no client."""
    outputs = json.loads(shell.output("pulumi", "stack", "output", "--json", "--show-secrets", "--stack", STACK))
    if elastic.NAME not in outputs:
        return None
    try:
        return elastic.parse(outputs[elastic.NAME])
    except elastic.UnreadableOutputError as error:
        raise CommandError(f"stack {STACK}: {error}") from None


def has_cluster(held: dict[str, Any]) -> bool:
    """Say whether a stack's record holds objects of a cluster."""
    return any(str(row.get("type", "")).startswith(CLUSTER) for row in held.get("resources", ()))


def market(shell: Shell) -> dict[str, Any] | None:
    """Return what the sandbox's market says of itself, None if no sandbox runs."""
    found: dict[str, Any] | None = json.loads(shell.output(*STATUS)).get("market")
    return found


def billed(left: dict[str, Any]) -> str:
    """Return a sentence if the market still bills something, else an empty text."""
    if not left["instances"] and not left["usd_per_hour"]:
        return ""
    labels = ", ".join(str(i.get("label") or i.get("id")) for i in left["instances"])
    return (
        f"The market still bills ${left['usd_per_hour']:.2f} an hour for: {labels or 'nothing listed'}. "
        "The sandbox is left running; look with `gpu-fleet sandbox status`."
    )


def stacks(shell: Shell) -> dict[str, bool]:
    """Return the names of this project's stacks, without their qualification, and whether each is the selected one."""
    listed = json.loads(shell.output("pulumi", "stack", "ls", "--json"))
    return {stack["name"].rsplit("/", 1)[-1]: bool(stack.get("current")) for stack in listed}
