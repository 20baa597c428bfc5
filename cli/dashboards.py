"""`gpu-fleet dashboards`: Grafana's documents of the dashboards, one JSON file each, to be imported."""

from pathlib import Path

import click

from cli.command import command
from cli.errors import CommandError
from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.grafana import document


@command("dashboards")
@click.argument("folder", type=click.Path(path_type=Path))
def dashboards(folder: Path) -> None:
    """Write the dashboards as Grafana's JSON, one file each.

    FOLDER is made if it does not exist.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for board in BOARDS:
            file = folder / f"{board.uid}.json"
            file.write_text(document(board))
            print(file)
    except OSError as error:
        raise CommandError(str(error)) from None
