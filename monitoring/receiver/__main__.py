"""The write-only door of the metrics: python -m monitoring.door --upstream http://127.0.0.1:9090 --certificate F --key F

METRICS_KEY is the key under which the stack gives credentials out (config gpu-fleet:metricsKey). Its own metrics are on
another port, because hosts have no business there.
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
    """Serve until a signal. 0 ended; 1 it cannot start."""
    options = parser().parse_args(arguments)
    key = os.environ.get(VARIABLE, "")
    if len(key) < KEY_LENGTH:
        print(f"door: {VARIABLE} is not set, or shorter than {KEY_LENGTH} characters", file=sys.stderr)
        return 1

    def authorise(user: str, password: str) -> Sender | None:
        found = reporter_of(key, user, password)
        return Sender(found.instance_id, found.name, found.stack_id) if found else None

    rentals = Rentals(partial(rented, Prometheus(options.upstream)))
    threading.Thread(target=rentals.watch, args=(threading.Event(),), daemon=True).start()
    door = Receiver(authorise, options.upstream, ended=rentals.ended)
    try:
        start_http_server(options.metrics_port, options.metrics_address, door.registry)
    except OSError as error:
        print(f"door: port {options.metrics_port} cannot be served: {error.strerror}", file=sys.stderr)
        return 1
    uvicorn.run(
        door.app,
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
    """Return what the exporters in that Prometheus know to be rented. Raises Unknown, also where it takes writes alone."""
    try:
        stacks, instances = (prometheus.query(one) for one in (queries.known_stacks(), queries.inventory()))
    except PrometheusError as error:
        raise Unknown from error
    return Rented(
        {one.labels.get("stack_id", "") for one in stacks}, {one.labels.get("instance_id", "") for one in instances}
    )


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="python -m monitoring.door", description=(__doc__ or "").partition(":")[0] + ".")
    top.add_argument("--upstream", required=True, metavar="URL", help="Prometheus with its remote write receiver on")
    top.add_argument("--address", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    top.add_argument("--port", type=int, default=9443, help="port to serve on (default: %(default)s)")
    top.add_argument("--certificate", metavar="FILE", help="PEM with the chain; without it the door speaks plain HTTP")
    top.add_argument("--key", metavar="FILE", help="PEM with its private key")
    top.add_argument("--metrics-address", default="127.0.0.1", help="address of its own metrics (default: %(default)s)")
    top.add_argument("--metrics-port", type=int, default=9102, help="port of its own metrics (default: %(default)s)")
    return top


if __name__ == "__main__":
    sys.exit(main())
