"""Grafana's documents of the dashboards: python -m monitoring.dashboards FOLDER writes one JSON file each, to be imported."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.grafana import document


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files. 0 done; 1 they cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.dashboards", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("folder", type=Path, help="where the files go; made where it is not there")
    options = parser.parse_args(arguments)
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        for board in BOARDS:
            file = options.folder / f"{board.uid}.json"
            file.write_text(document(board))
            print(file)
    except OSError as error:
        print(f"dashboards: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
