"""Serve the write-only front of Prometheus: python -m monitoring.receiver --upstream URL --certificate F --key F

METRICS_KEY is the key from which the stack derives each host's credential (config gpu-fleet:metricsKey). The receiver's own
metrics are on another port, which hosts cannot reach.
"""

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial

import uvicorn
from prometheus_client import start_http_server

from monitoring import queries
from monitoring.prometheus import Prometheus, PrometheusError
from monitoring.receiver.admission import Sender
from monitoring.receiver.app import Receiver
from monitoring.receiver.rentals import Rentals, Rented, Unknown
from providers.identity.metrics_credentials import KEY_LENGTH, reporter_of

VARIABLE = "METRICS_KEY"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal. Exit status: 0 after a signal, 1 if the receiver cannot start."""
    options = parser().parse_args(arguments)
    key = os.environ.get(VARIABLE, "")
    if len(key) < KEY_LENGTH:
        print(f"receiver: {VARIABLE} is not set, or shorter than {KEY_LENGTH} characters", file=sys.stderr)
        return 1

    def authorise(user: str, password: str) -> Sender | None:
        found = reporter_of(key, user, password)
        return Sender(found.instance_id, found.name, found.stack_id) if found else None

    rentals = Rentals(partial(rented, Prometheus(options.upstream)))
    threading.Thread(target=rentals.watch, args=(threading.Event(),), daemon=True).start()
    receiver = Receiver(authorise, options.upstream, ended=rentals.ended)
    try:
        start_http_server(options.metrics_port, options.metrics_address, receiver.registry)
    except OSError as error:
        print(f"receiver: port {options.metrics_port} cannot be served: {error.strerror}", file=sys.stderr)
        return 1
    uvicorn.run(
        receiver.app,
        host=options.address,
        port=options.port,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=120,
        limit_concurrency=2000,
    )
    return 0


def rented(prometheus: Prometheus) -> Rented:
    """Return the instances that the exporters in this Prometheus know as rented.

    Raises Unknown if Prometheus does not answer queries.
    """
    try:
        stacks, instances = (prometheus.query(one) for one in (queries.known_stacks(), queries.inventory()))
    except PrometheusError as error:
        raise Unknown from error
    return Rented(
        {one.labels.get("stack_id", "") for one in stacks}, {one.labels.get("instance_id", "") for one in instances}
    )


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m monitoring.receiver", description=(__doc__ or "").partition(":")[0] + "."
    )
    top.add_argument(
        "--upstream", required=True, metavar="URL", help="URL of a Prometheus with its remote write receiver on"
    )
    top.add_argument("--address", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    top.add_argument("--port", type=int, default=9443, help="port to serve on (default: %(default)s)")
    top.add_argument(
        "--certificate", metavar="FILE", help="PEM with the chain; without it the receiver speaks plain HTTP"
    )
    top.add_argument("--key", metavar="FILE", help="PEM with its private key")
    top.add_argument("--metrics-address", default="127.0.0.1", help="address of its own metrics (default: %(default)s)")
    top.add_argument("--metrics-port", type=int, default=9102, help="port of its own metrics (default: %(default)s)")
    return top


if __name__ == "__main__":
    sys.exit(main())
