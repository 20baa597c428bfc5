"""`gpu-fleet explain` and `gpu-fleet why-not`: what the ledger says of an instance, and why an offer is not taken."""

import click

from cli.command import command, json_option, stack_option
from cli.context import ledger_of, open_selected, read_config, requirements_for
from cli.errors import CommandError
from config.messages import ConfigError
from providers.ledger.explain import describe_attempts
from providers.store.errors import StoreError
from providers.vast import reports
from providers.vast.api.errors import VastError
from providers.vast.pulumi_state import BackendError, run_pulumi, states


@command("explain", BackendError, VastError, ConfigError, StoreError)
@click.argument("name")
@json_option
@stack_option
def explain(name: str, as_json: bool, stack: str | None) -> None:
    """Tell what became of each offer that was tried for an instance in the last 14 days.

    NAME is the instance, such as chat-0. With --json: the ledger's events, one JSON object a line.
    """
    context = open_selected(stack)
    stack_id = states(run_pulumi, context.stack)[0].stack_id
    ledger = ledger_of(context, read_config(context))
    events = ledger.events(stack_id, name)
    if as_json:
        print("".join(f"{event.model_dump_json(exclude_none=True)}\n" for event in events), end="")
    else:
        print("\n".join(describe_attempts(name, events, ledger.machine_histories(), context.clock.time(), ledger.log)))


@command("why-not", BackendError, VastError, ConfigError, StoreError)
@click.argument("offer", type=int)
@click.argument("fleet")
@stack_option
def why_not(offer: int, fleet: str, stack: str | None) -> None:
    """Tell which requirements of a fleet an offer fails.

    OFFER is the offer's number, as the market shows it. FLEET is the fleet's name, such as chat.
    """
    context = open_selected(stack)
    config = read_config(context)
    if fleet not in config.fleets:
        raise CommandError(f"there is no fleet {fleet}; the stack has {', '.join(sorted(config.fleets)) or 'none'}")
    requirements, records = (
        requirements_for(config, config.fleets[fleet]),
        ledger_of(context, config).machine_histories(),
    )
    print("\n".join(reports.why_not(context.market, offer, fleet, requirements, records, context.clock.time())))
