"""`gpu-fleet criteria`: checks the success criteria against Prometheus, which answers pass, fail or no data."""

import json
import sys
from dataclasses import asdict

import click

from cli.command import command, json_option
from cli.errors import CommandError
from cli.prometheus import prometheus_option
from monitoring.criteria.verdicts import WINDOW, judge, lines, status
from monitoring.prometheus import Prometheus, PrometheusError

NO_ANSWER = 3


@command("criteria")
@prometheus_option
@click.option(
    "--window", default=WINDOW, show_default=True, metavar="DURATION", help="How far back latency is looked at."
)
@json_option
def criteria(prometheus: str, window: str, as_json: bool) -> int:
    """Judge provisioning, latency and cost against their bounds.

    Provisioning: p50 and p95 over the whole ledger against 180 s. Latency: p95 of the window against 2 s. Cost: the
    dearest instance against $0.50/h.

    Exit status: 0 all pass, 1 one fails, 2 none fails but one has no data, 3 Prometheus does not answer.
    """
    try:
        verdicts = judge(Prometheus(prometheus), window)
    except PrometheusError as error:
        raise CommandError(str(error), NO_ANSWER) from None
    if as_json:
        json.dump([asdict(verdict) for verdict in verdicts], sys.stdout, indent=2, default=str)
        print()
    else:
        for verdict in verdicts:
            print("\n".join(lines(verdict)))
    return status(verdicts)
