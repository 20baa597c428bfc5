"""`gpu-fleet up`: the sandbox and its stack, from nothing to endpoints that answer."""

import os
from collections.abc import Sequence

import click

from cli.command import command
from cli.errors import CommandError
from cli.sandbox_stack import STACK, Shell, applied, has_cluster, in_sandbox, record, stacks
from cli.tables import money
from providers.elastic.applied import Applied
from tools import env
from tools.machine import paths

LATER = (
    "The endpoints answer: `make ask`, in another terminal. Monitoring and the cluster come next. An interruption leaves the "
    "endpoints as they are, and `make up` goes on."
)


@command("up")
@click.option("--vllm", type=click.Choice(("real", "double")), default="real", help="The vLLM that hosts run.")
@click.option(
    "--monitoring",
    type=click.Choice(("on", "off", "later")),
    default="on",
    help="Prometheus, alerts, a cluster. With `later` the endpoints come without them, and the next `up` adds them.",
)
@click.option(
    "--kubernetes",
    type=click.Choice(("api", "node")),
    default="api",
    help="With `node`, monitoring runs as pods on a real Kubernetes node (docs/node.md).",
)
def up(vllm: str, monitoring: str, kubernetes: str) -> int:
    """Start the sandbox and bring its stack `local` up, to endpoints that answer.

    For a real stack: pulumi up.
    """
    images = node_images() if kubernetes == "node" else ()
    return in_sandbox("up", lambda: go_up(Shell(), vllm, monitoring, images))


def node_images() -> tuple[str, ...]:
    """Return the words that give the sandbox's cluster a node. Raises CommandError if set-up has not brought it."""
    folder = paths.find(env.CHECKOUT, os.environ).node_images
    if not (folder / "complete").is_file():
        raise CommandError("the node's images are missing or older than this code: python3 -m tools.setup --parts node")
    return ("--node-images", str(folder))


def go_up(shell: Shell, vllm: str, monitoring: str, node: Sequence[str] = ()) -> None:
    """Start the sandbox, bring the stack up on it and show its instances.

    --refresh, because hosts of a sandbox that was restarted are gone and state does not know it. No separate preview:
    the command asks no question, and the same checks run before it rents anything. A stack with elastic fleets gets their
    controller.
    """
    known = stacks(shell)
    if monitoring == "later" and STACK in known and has_cluster(record(shell)):
        return  # An update without the cluster would delete its objects, for the next one to make them anew.
    watched = "on" if monitoring == "on" else "off"
    if watched == "off":
        shell.leave_out_cluster()
    shell.call("python", "-m", "sandbox", "up", "--vllm", vllm, "--monitoring", watched, *node)
    if STACK not in known:
        shell.quiet("pulumi", "stack", "init", STACK, "--no-select")
    if not any(known.values()):
        # So that plain `pulumi config set ...` works after `make env`; another selected stack is the operator's choice.
        shell.quiet("pulumi", "stack", "select", STACK)
    if record(shell).get("pending_operations"):
        # Creates that were killed: the engine warns of each in every command until a refresh is told to drop them.
        shell.engine("refresh", "--stack", STACK, "--clear-pending-creates", "--yes", "--skip-preview")
    shell.engine("up", "--stack", STACK, "--refresh", "--yes", "--skip-preview")
    elastic = applied(shell)
    if elastic is not None and elastic.fleets:
        shell.call("python", "-m", "sandbox", "controller", "--stack", STACK)
    shell.call("python", "-m", "cli", "status", "--stack", STACK)
    if elastic is not None:
        print("\n".join(offers(elastic)))
    print(LATER if monitoring == "later" else "next: make ask")


def offers(elastic: Applied) -> list[str]:
    """Describe each elastic fleet in one line, for a reader who has not asked for an instance yet."""
    return [
        f"{name}  elastic: {fleet.bounds.min} to {fleet.bounds.max} instances of {fleet.model}, "
        f'at most {money(fleet.ceiling)}/h each; ask the controller for one (README.md, "Ask for an instance")'
        for name, fleet in sorted(elastic.fleets.items())
    ]
