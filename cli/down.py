"""`gpu-fleet down`: everything given back, the market's own meter at $0, the sandbox stopped."""

import subprocess
import sys

from cli.command import command
from cli.sandbox_stack import STACK, STATUS, Shell, billed, has_cluster, in_sandbox, market, record, stacks
from config.slot_names import slot_of

DESTROY = ("--yes", "--skip-preview", "--continue-on-error")


@command("down")
def down() -> int:
    """Give everything back, slots included, show the market's meter at $0, and stop the sandbox.

    The sandbox stops only after its market itself says that it bills nothing any more. For a real stack: pulumi
    destroy.
    """
    return in_sandbox("down", lambda: go_down(Shell()))


def go_down(shell: Shell) -> None:
    """Give everything back, have the market itself confirm that nothing is billed, and stop the sandbox.

    Afterwards neither the sandbox nor the stack's state exists. The config stays, and `make up` makes the stack anew.

    Without a running sandbox there is no market to give anything back to: its instances ended with it. It leaves the stack's
    state, and a bucket in the sandbox's store, which a new stack could not take over. The command removes both, the state
    last, so that an interrupted `make down` can be repeated.
    """
    names = stacks(shell)
    known, slots = STACK in names, sorted(name for name in names if slot_of(STACK, name))
    if market(shell) is None:
        shell.forget_slots(slots)
        if known:
            shell.call("python", "-m", "sandbox", "clean")
            shell.quiet("pulumi", "stack", "rm", STACK, "--yes", "--force", "--preserve-config")
        print("The sandbox is not running: nothing is rented.")
        return
    # First, because a running controller would start an instance again for each live claim.
    shell.call("python", "-m", "sandbox", "controller", "--off")
    held = record(shell) if known else {}
    if not has_cluster(held):
        # A destroy runs the program, which would make anew the provider of a cluster that is not there.
        shell.leave_out_cluster()
    if held:
        # A part that cannot be deleted, as in a cluster that is down, must not keep an instance rented.
        shell.engine("destroy", "--stack", STACK, *DESTROY)
        if record(shell).get("resources"):
            # A destroy runs the program, which makes anew the providers and components that the state lacks.
            shell.engine("destroy", "--stack", STACK, *DESTROY, "--run-program=false")
    left = market(shell)
    if left is None:
        print("The sandbox ended before its market could confirm that nothing is billed.", file=sys.stderr)
        raise subprocess.CalledProcessError(1, list(STATUS))
    print(f"The market's own meter: {len(left['instances'])} instances, ${left['usd_per_hour']:.2f} an hour.")
    complaint = billed(left)
    if complaint:
        print(complaint, file=sys.stderr)
        raise subprocess.CalledProcessError(1, list(STATUS))
    shell.forget_slots(slots)  # the destroy has ended their instances, and the market has just said so
    if known:
        # Without --force, Pulumi refuses to remove a state that still holds something.
        shell.quiet("pulumi", "stack", "rm", STACK, "--yes", "--preserve-config")
    shell.call("python", "-m", "sandbox", "down")
