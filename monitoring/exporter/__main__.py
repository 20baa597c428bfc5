"""Serve the fleet's money, failures and times to Prometheus: python -m monitoring.exporter --config FILE

A container runs this with a stack's config file and no Pulumi. For a stack that Pulumi knows, run `gpu-fleet exporter`.
GPU_FLEET_MARKET_KEY is a key of the market that may read instances and billing; without it, the stack's own is used.
STORE_ACCESS_KEY and STORE_SECRET_KEY are the store's keys if the file has none in plain.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from config.messages import ConfigError
from monitoring.exporter.account import read_account
from monitoring.exporter.serve import KEY, ExporterError, ExporterOptions, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal. Exit status: 0 after a signal, 1 if the exporter cannot start."""
    options = parser().parse_args(arguments)
    try:
        account = read_account(options.config, os.environ, os.environ.get(KEY))
        serve(
            account,
            ExporterOptions(options.address, options.port, options.every, options.prometheus, options.since),
        )
    except (ConfigError, ExporterError) as error:
        print(f"exporter: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    usual = ExporterOptions()
    head, _, rest = (__doc__ or "").partition("\n\n")
    top = argparse.ArgumentParser(
        prog="python -m monitoring.exporter", description=f"{head.partition(':')[0]}.", epilog=rest
    )
    top.add_argument("--config", type=Path, required=True, metavar="FILE", help="a stack's config file")
    top.add_argument("--address", default=usual.address, help="address to serve on (default: %(default)s)")
    top.add_argument("--port", type=int, default=usual.port, help="port to serve on (default: %(default)s)")
    top.add_argument(
        "--every", type=float, default=usual.every, help="seconds between two reads (default: %(default)s)"
    )
    top.add_argument(
        "--prometheus", metavar="URL", help="Prometheus of the hosts, which tells what of the bill was idle"
    )
    top.add_argument("--since", type=float, default=usual.since, help="count charges from these unix seconds on")
    return top


if __name__ == "__main__":
    sys.exit(main())
