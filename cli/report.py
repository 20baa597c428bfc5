"""`gpu-fleet report`: one HTML page of verdicts, alerts, phases and panels, from Prometheus. The page needs no network."""

import time
from pathlib import Path

import click

from cli.command import command
from cli.errors import CommandError
from cli.prometheus import prometheus_option
from monitoring.prometheus import Prometheus, PrometheusError
from monitoring.report.drawing import report as drawn
from monitoring.report.page import render


@command("report")
@prometheus_option
@click.option("--minutes", type=float, default=60.0, show_default=True, help="How far back.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The file to write.",
)
def report(prometheus: str, minutes: float, out: Path) -> None:
    """Write one HTML page of what Prometheus knows.

    It has the success criteria, alerts, how each instance came online, and every panel of the dashboards.
    """
    now = time.time()
    try:
        found = drawn(Prometheus(prometheus), prometheus, now - minutes * 60, now, f"{max(1, round(minutes))}m")
        out.write_text(render(found))
    except (PrometheusError, OSError) as error:
        raise CommandError(str(error)) from None
    for word, name, measured, _ in found.verdicts:
        print(f"{word:8} {name}: {measured}")
    print(f"{out.resolve()}: {out.stat().st_size / 1000:.0f} kB")
