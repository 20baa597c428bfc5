"""`gpu-fleet exporter`: the fleet's money, failures and times for Prometheus.

It reads the ledger in the stack's bucket, and the account's instances and charges, again and again. A container runs the
same exporter as `python -m monitoring.exporter`.
"""

import os
from pathlib import Path

import click

from cli.command import command, stack_option
from cli.context import CommandContext, open_selected, read_config, store_keys
from config.messages import ConfigError
from monitoring.exporter.account import ExporterAccount, read_account
from monitoring.exporter.serve import KEY, ExporterError, ExporterOptions, serve
from providers.vast.pulumi_state import BackendError
from providers.vast.stack_market import StackMarket


@command("exporter", BackendError, ConfigError, ExporterError)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A stack's config file: works without Pulumi, as in a container.",
)
@click.option("--address", default=ExporterOptions.address, show_default=True, help="The address to serve on.")
@click.option("--port", default=ExporterOptions.port, show_default=True, help="The port to serve on.")
@click.option("--every", default=ExporterOptions.every, show_default=True, help="Seconds between two reads.")
@click.option("--prometheus", metavar="URL", help="Where hosts report, to tell what of the bill was idle.")
@click.option("--since", default=0.0, help="Unix seconds from which on charges count; without it, all count.")
@stack_option
def exporter(
    config: Path | None,
    address: str,
    port: int,
    every: float,
    prometheus: str | None,
    since: float,
    stack: str | None,
) -> None:
    """Serve the fleet's money, failures and times to Prometheus, until a signal.

    GPU_FLEET_MARKET_KEY is a key of the market that may read instances and billing; without it, the stack's own is used.
    With --config, STORE_ACCESS_KEY and STORE_SECRET_KEY are the store's keys if the file has none in plain.
    """
    if config and stack:
        raise click.UsageError("--config and --stack exclude each other.")
    own_key = os.environ.get(KEY)
    account = read_account(config, os.environ, own_key) if config else account_of(open_selected(stack, own_key))
    serve(account, ExporterOptions(address, port, every, prometheus, since))


def account_of(context: CommandContext) -> ExporterAccount:
    """Return a stack that Pulumi knows as the exporter takes it. Raises ConfigError."""
    market = StackMarket(context.market, context.scale, context.clock, context.breaker, context.limits, context.folder)
    return ExporterAccount(read_config(context, None), market, store_keys(context))
