"""The option `--prometheus` of the commands that ask one."""

import click

from monitoring.prometheus import DEFAULT_URL, VARIABLE

prometheus_option = click.option(
    "--prometheus",
    envvar=VARIABLE,
    default=DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="The Prometheus to ask.",
)
