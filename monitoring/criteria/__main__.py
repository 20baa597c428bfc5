"""Is the fleet as good as it should be? python -m monitoring.criteria asks Prometheus and says pass, fail or no data.

Provisioning: p50 and p95 over the whole ledger against 180 s. Latency: p95 of the window against 2 s. Cost: the dearest
instance against $0.50/h. Exit status: 0 all pass, 1 one fails, 2 none fails but one has no data, 3 no answer.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from monitoring.criteria.verdicts import WINDOW, judge, lines, status
from monitoring.prometheus import DEFAULT_URL, VARIABLE, Prometheus, PrometheusError


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdicts."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.criteria", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--prometheus", default=os.environ.get(VARIABLE) or DEFAULT_URL, metavar="URL")
    parser.add_argument("--window", default=WINDOW, help="how far back latency is looked at (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        verdicts = judge(Prometheus(options.prometheus), options.window)
    except PrometheusError as error:
        print(f"criteria: {error}", file=sys.stderr)
        return 3
    for verdict in verdicts:
        print("\n".join(lines(verdict)))
    return status(verdicts)


if __name__ == "__main__":
    sys.exit(main())
