"""`gpu-fleet sweep`: every instance of the account against the states of the backend, and an end to those in none."""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

import click

from cli.command import command, json_option, stack_option
from cli.context import CommandContext, ledger_alone, open_selected
from cli.errors import CommandError
from cli.slots import Slots, end, open_slot, rows
from config.messages import ConfigError
from providers.ledger.instance_end import SWEPT, row_ended
from providers.ledger.ledger import NoLedger
from providers.store.errors import StoreError
from providers.vast import reports
from providers.vast.api.errors import AccountUnknown, VastError
from providers.vast.api.instance import Instance, all_known
from providers.vast.api.rows import set_aside
from providers.vast.pulumi_state import BackendError, run_pulumi, states
from providers.vast.renting import sweep as rules
from providers.vast.renting.ownership import sort_out
from providers.vast.renting.renter import Renter

FOUND = 2  # the exit status if an instance is in no state


def given_id(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Return the stack id that was given, or None. An empty one is a variable that is not set, and means no stack."""
    if text is not None and not text.strip():
        raise click.BadParameter("it is empty; `gpu-fleet sweep` prints labels, gpu-fleet/ID/NAME.")
    return text


@command("sweep", BackendError, VastError, ConfigError, StoreError)
@click.option("--destroy", is_flag=True, help="Give back what is ours-but-unknown, and have the market confirm it.")
@click.option(
    "--interrupted",
    is_flag=True,
    help="With --destroy: also what is ours-being-created. Only if no update of the stack is running.",
)
@click.option(
    "--stack-id",
    metavar="ID",
    callback=given_id,
    help="Treat this stack id as ours: for a state that is lost or broken.",
)
@click.option(
    "--slots",
    is_flag=True,
    help="With --destroy: also end every slot of the stack, and its instance. A controller that runs may start them again.",
)
@click.option("--close-breaker", is_flag=True, help="Let renting go on that the breaker has stopped.")
@json_option
@stack_option
def sweep(
    destroy: bool,
    interrupted: bool,
    stack_id: str | None,
    slots: bool,
    close_breaker: bool,
    as_json: bool,
    stack: str | None,
) -> int:
    """List the instances that the account rents, their cost, and those that no state knows.

    Each instance is known, ours-but-unknown, ours-being-created, another-stack or foreign. Only --destroy gives anything
    back, and only instances that are ours-but-unknown. Without --stack-id it also needs every state to be readable.

    The slots of an elastic fleet are listed by their stacks. --destroy removes the stacks for which nothing is rented.

    Exit status 2: an instance is in no state.
    """
    return run_sweep(
        open_selected(stack),
        destroy=destroy,
        interrupted=interrupted,
        stack_id=stack_id,
        slots=slots,
        close_breaker=close_breaker,
        as_json=as_json,
    )


def run_sweep(
    context: CommandContext,
    *,
    destroy: bool = False,
    interrupted: bool = False,
    stack_id: str | None = None,
    slots: bool = False,
    close_breaker: bool = False,
    as_json: bool = False,
    open_slot: Slots = open_slot,
) -> int:
    """Compare, report, give back if `destroy` says so, and return the exit status."""
    # In this order: an instance that is rented after the list was read is not in it, and one that is in it was known, or
    # being created, by the time at which the states are read.
    answer = context.market.instances()
    listed = all_known(answer)
    known = states(run_pulumi, context.stack)
    own = rules.own_ids(known, stack_id)
    try:
        rules.confirm_account(context.market, known, stack_id)
    except AccountUnknown as doubt:
        if destroy:
            raise
        print(f"sweep: {doubt}", file=sys.stderr)
    found = sort_out(listed, known, own, context.clock.time(), context.limits)
    refusal = rules.refusal(known, stack_id) if destroy else None
    ending = rules.instances_to_give_back(found, interrupted) if destroy and not refusal else []
    for instance in ending:
        context.breaker.destroyed(instance.id, context.clock.monotonic())
    ended = rules.give_back_each(Renter(context.market, context.clock, context.limits), ending)
    _record(context, [one for one in ending if ended[one.id] is None])
    report = reports.report(found, known, ended)
    of_slots, numbers = rows(context.stack, known), frozenset(one.id for one in listed)
    shown = {**report, "slots": [asdict(row) for row in of_slots]}
    print(json.dumps(shown, indent=2) if as_json else reports.describe_findings(report, destroy))
    for row in [] if as_json else of_slots:
        print(row.describe(numbers))
    if refusal:
        raise CommandError(refusal)
    sure = not set_aside(answer)  # a row that cannot be read may be a slot's instance
    to_end = [row.stack for row in of_slots if destroy and (slots or (sure and row.is_empty(numbers)))]
    troubles = end(context.stack, to_end, lambda line: print(line, file=sys.stderr), open_slot, not slots)
    if troubles:
        raise CommandError("\n".join(troubles))
    if close_breaker:
        context.breaker.close()
    if any(error is not None for error in ended.values()):
        return 1
    left = [finding for finding in found if finding.instance.id not in ended]
    return FOUND if rules.instances_to_give_back(left, True) else 0


def _record(context: CommandContext, ended: Sequence[Instance]) -> None:
    """Write the ends to the ledger. A sweep works even if the section `store` of config cannot be read."""
    with suppress(ConfigError):
        ledger = ledger_alone(context) if ended else NoLedger()
        for instance in ended:
            row_ended(ledger, context.clock.time(), instance, SWEPT)
