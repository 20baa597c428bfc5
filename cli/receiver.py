"""`gpu-fleet receiver`: the write-only front of a Prometheus, for an operator who runs it outside a cluster."""

import click

from cli.command import command
from monitoring.receiver.__main__ import main


@command(
    "receiver",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS]")
def receiver(words: tuple[str, ...]) -> int:
    """Serve the write-only receiver of the hosts' metrics.

    METRICS_KEY is the stack's gpu-fleet:metricsKey. The options are those of `python -m monitoring.receiver --help`.
    """
    return main(words)
