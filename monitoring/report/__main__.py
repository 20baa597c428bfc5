"""One HTML page of what Prometheus knows: python -m monitoring.report, or `make report`.

Success criteria, alerts, how each instance came online, and every panel of the dashboards drawn. The page needs no network.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from monitoring.prometheus import DEFAULT_URL, VARIABLE, Prometheus, PrometheusError
from monitoring.report.drawing import report
from monitoring.report.page import render

MINUTES = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page. 0 done; 1 it cannot be written, or Prometheus does not answer."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--prometheus", default=os.environ.get(VARIABLE) or DEFAULT_URL, metavar="URL")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how far back (default: %(default)g)")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="the file (default: %(default)s)")
    options = parser.parse_args(arguments)
    now = time.time()
    try:
        found = report(
            Prometheus(options.prometheus),
            options.prometheus,
            now - options.minutes * 60,
            now,
            f"{max(1, round(options.minutes))}m",
        )
        options.out.write_text(render(found))
    except (PrometheusError, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    for word, name, measured, _ in found.verdicts:
        print(f"{word:8} {name}: {measured}")
    print(f"{options.out.resolve()}: {options.out.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
