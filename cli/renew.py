"""`gpu-fleet renew`: an update of the instances whose certificates end soon, and of nothing else."""

import json
import subprocess

from cli.command import command, stack_option
from cli.context import CommandContext, open_selected
from cli.errors import CommandError
from cli.slots import Slots, open_slot
from controller.slot_stack import SlotBusyError, SlotError
from providers.vast import certificate_renewal
from providers.vast.api.errors import VastError
from providers.vast.pulumi_state import BackendError, deployment_of, run_pulumi, slots_of


@command("renew", BackendError, VastError)
@stack_option
def renew(stack: str | None) -> int:
    """Renew certificates that end within a month, and nothing else.

    For a schedule. Pulumi renews the certificates that end within a month, and the CA's in its last half year, for those
    instances alone, those of elastic fleets included. The command refuses if the config of this checkout would change
    more than that.
    """
    return run_renew(open_selected(stack))


def run_renew(context: CommandContext, open_one: Slots = open_slot) -> int:
    """Renew in the stack, then in the stacks of its slots. Return Pulumi's exit status. Raises CommandError."""
    status, troubles = 0, []
    try:
        status = _renew_stack(context)
    except CommandError as error:
        troubles.append(str(error))
    for name in slots_of(run_pulumi, context.stack):
        try:
            troubles += _renew_slot(context, name, open_one)
        except SlotBusyError as error:
            print(f"{error}. The next `gpu-fleet renew` tries again.", flush=True)
        except (BackendError, SlotError) as error:
            troubles.append(str(error))
    if troubles:
        raise CommandError("; ".join(troubles))
    return status


def _renew_stack(context: CommandContext) -> int:
    """Renew by a targeted update, and return Pulumi's exit status. Raises CommandError."""
    found = certificate_renewal.due(deployment_of(run_pulumi, context.stack), context.clock.time())
    print(found.describe(), flush=True)
    if not found.urns:
        return 0
    targets = [word for urn in found.urns for word in ("--target", urn)]
    steps = json.loads(run_pulumi(["preview", "--json", "--stack", context.stack, *targets]))["steps"]
    if beyond := certificate_renewal.beyond(steps):
        raise CommandError(
            f"this checkout would do more than renew ({'; '.join(beyond)}), and nothing was done. Bring that to the fleet "
            f"first, by `pulumi up --stack {context.stack}`, or run this in the checkout that is deployed."
        )
    words = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", context.stack, *targets]
    return subprocess.run(words, check=False).returncode


def _renew_slot(context: CommandContext, name: str, open_one: Slots) -> list[str]:
    """Renew in one slot's stack; return a sentence if that would do more. Raises BackendError and SlotError."""
    found = certificate_renewal.due(deployment_of(run_pulumi, name), context.clock.time())
    if not found.urns:
        return []
    print(found.describe(), flush=True)
    beyond = open_one(context.stack, name).renew(found.urns, lambda phase, text: print(f"{name}  {phase}  {text}"))
    if not beyond:
        return []
    why = (
        f"slot {name} would do more than renew ({'; '.join(beyond)}), so nothing was done to it; "
        f"the controller brings an edit to its slots in waves, and without a controller `pulumi up --stack {name}` does"
    )
    return [why]
