"""`gpu-fleet adopt`: say whether the next `pulumi up` takes an instance over, and have it do so."""

import subprocess

import click

from cli.command import command, stack_option
from cli.context import CommandContext, open_selected, read_config, requirements_for
from cli.errors import CommandError
from config.base import PROJECT
from config.messages import ConfigError
from providers.store.errors import StoreError
from providers.vast import reports
from providers.vast.api import label
from providers.vast.api.errors import VastError
from providers.vast.pulumi_state import BackendError, run_pulumi, states
from providers.vast.renting.sweep import confirm_account


@command("adopt", BackendError, VastError, ConfigError, StoreError)
@click.argument("label_text", metavar="LABEL")
@click.option("--yes", is_flag=True, help="Do not ask.")
@stack_option
def adopt(label_text: str, yes: bool, stack: str | None) -> int:
    """Let `pulumi up` take over an instance that no state knows.

    LABEL is the instance's label, as `gpu-fleet sweep` prints it: gpu-fleet/ID/NAME. The command says whether the next
    `pulumi up` takes the instance over. Then it runs that, which shows its preview and asks.
    """
    context = open_selected(stack)
    print(adoption(context, label_text), flush=True)
    words = ["pulumi", "up", "--stack", context.stack, *(["--yes"] if yes else [])]
    return subprocess.run(words, check=False).returncode


def adoption(context: CommandContext, label_text: str) -> str:
    """Describe what the next `up` does with the instances under a label. Raises CommandError if it takes none over."""
    mark = label.parse(label_text)
    if mark is None:
        raise CommandError(
            f"{label_text!r} is no label of gpu-fleet's (gpu-fleet/<stack id>/<name>); `gpu-fleet sweep` prints them"
        )
    own = states(run_pulumi, context.stack)[0]
    if own.trouble:
        raise CommandError(
            f"the state of stack {context.stack} cannot be read, so nothing can be taken into it: {own.trouble}"
        )
    if mark.stack_id != own.stack_id:
        raise CommandError(
            f"stack {context.stack} has the id {own.stack_id or 'of none yet'}, and that instance is of {mark.stack_id}: "
            "its SSH key is in the state that it was made from, and nowhere else. Take it over there, or give it back with "
            f"`gpu-fleet sweep --destroy --stack-id {mark.stack_id}`."
        )
    if mark.name in own.instances:
        raise CommandError(
            f"the state has {mark.name} already; what else carries its label is surplus, "
            "and `gpu-fleet sweep` gives it back"
        )
    confirm_account(context.market, [own])
    fleet_name, _, index = mark.name.rpartition("-")
    stack = read_config(context)
    fleet = stack.fleets.get(fleet_name)
    if fleet and fleet.elastic:
        raise CommandError(
            f"{mark.name} is of an elastic fleet, and this stack has no such instance. The `up` of its slot's stack takes it "
            "over by its label. If no slot knows it, give it back: gpu-fleet sweep --destroy"
        )
    if fleet is None or not index.isdigit() or int(index) not in fleet.indexes:
        path = f"{PROJECT}:fleets.{fleet_name}"
        excluded = fleet is not None and index in map(str, fleet.without)
        edit = f"take {index} out of {path}.without" if excluded else f"raise {path}.replicas"
        raise CommandError(
            f"the stack's config has no instance {mark.name}; {edit}, or give the instance back: "
            "gpu-fleet sweep --destroy"
        )
    requirements = requirements_for(stack, fleet)
    found = reports.forecast_adoption(context.market.instances(label_text), fleet.image, requirements)
    if not found.adopts:
        raise CommandError(found.text)
    return found.text
