"""The fleet's money, failures and times for Prometheus: python -m monitoring.exporter, in the project's folder.

The stack is the selected one, or --stack; its bucket's ledger, its account's instances and charges are read again and again.
Where there is no Pulumi, as in a container, --config names the stack's config file; STORE_ACCESS_KEY and STORE_SECRET_KEY are
the store's keys then.
GPU_FLEET_MARKET_KEY is a key of the market that may read instances and billing; without it the stack's own is used.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from prometheus_client import CollectorRegistry, start_http_server

from components.config import ConfigError
from components.desk import Desk, Refused, desk_of_file, open_desk, read_config, store_keys
from monitoring import queries
from monitoring.exporter.charged import KnownCharges
from monitoring.exporter.collector import FleetCollector, Terms
from monitoring.exporter.market_time import MarketTime
from monitoring.exporter.sources import Charged, Happening, Rented, SourceDown, Sources
from monitoring.prometheus import Prometheus, PrometheusError
from providers.store.client import connect
from providers.store.errors import StoreError
from providers.store.ledger import READ_SECONDS
from providers.store.ledger_tail import LedgerTail
from providers.vast import label
from providers.vast.answers import Charge
from providers.vast.backend import BackendError, run_pulumi, selected_stack
from providers.vast.errors import VastError
from providers.vast.event import Event, Reason
from providers.vast.instances import Instance, all_known

PORT, EVERY_SECONDS = 9101, 15.0
KEY = "GPU_FLEET_MARKET_KEY"

Answer = TypeVar("Answer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal. 0 ended; 1 it cannot start."""
    options = parser().parse_args(arguments)
    try:
        desk = desk_of(options)
        collector = collector_of(desk, options)
    except (Refused, BackendError, ConfigError) as error:
        print(f"exporter: {error}", file=sys.stderr)
        return 1
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, _thread = start_http_server(options.port, options.address, registry)
    except OSError as error:
        print(
            f"exporter: port {options.port} cannot be served ({error.strerror}); choose another with --port",
            file=sys.stderr,
        )
        return 1
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    print(f"exporter: http://{options.address}:{server.server_port}/metrics, every {options.every:g} s", flush=True)
    watch(collector.learn, ended, options.every)
    server.shutdown()
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m monitoring.exporter", description=(__doc__ or "").partition(":")[0] + "."
    )
    which = top.add_mutually_exclusive_group()
    which.add_argument("--stack", help="the stack (default: the selected one)")
    which.add_argument("--config", type=Path, metavar="FILE", help="a stack's config file, to do without Pulumi")
    top.add_argument("--address", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    top.add_argument("--port", type=int, default=PORT, help="port to serve on (default: %(default)s)")
    top.add_argument(
        "--every", type=float, default=EVERY_SECONDS, help="seconds between two looks (default: %(default)s)"
    )
    top.add_argument("--prometheus", metavar="URL", help="where hosts report, to tell what of the bill was idle")
    top.add_argument("--since", type=float, default=0.0, help="unix seconds from which on charges count (default: all)")
    return top


def desk_of(options: argparse.Namespace) -> Desk:
    """Reach the account of the stack that is asked for. Raises Refused, BackendError."""
    own_key = os.environ.get(KEY)
    if options.config:
        return desk_of_file(options.config, os.environ, own_key)
    return open_desk(options.stack or selected_stack(run_pulumi), os.environ, own_key)


def watch(learn: Callable[[], Mapping[str, str]], ended: threading.Event, every: float) -> None:
    """Look again and again until told to end; a trouble is said when it comes and when it goes."""
    before: Mapping[str, str] = {}
    while True:
        troubles = learn()
        for source in troubles.keys() - before.keys():
            print(f"exporter: {source} cannot be read: {troubles[source]}", file=sys.stderr, flush=True)
        for source in before.keys() - troubles.keys():
            print(f"exporter: {source} can be read again", file=sys.stderr, flush=True)
        before = troubles
        if ended.wait(every):
            return


def collector_of(desk: Desk, options: argparse.Namespace) -> FleetCollector:
    """Join a stack's ledger with its account. Raises ConfigError."""
    stack = read_config(desk, None)
    store = stack.store
    keys = store_keys(desk)
    tail = LedgerTail(lambda: connect(store.endpoint, store.region, keys, 1, READ_SECONDS), store.bucket, desk.clock)
    terms = Terms(
        reasons=[reason.value for reason in Reason],
        ssh_timeout_seconds=stack.limits.connect_minutes * 60 / desk.scale,
        abandoned_seconds=desk.limits.abandoned_seconds,
        time=MarketTime(desk.scale),
        day_usd=stack.budget.usd_per_day,
        month_usd=stack.budget.usd_per_month,
        ceilings={name: fleet.max_usd_per_hour for name, fleet in stack.fleets.items() if fleet.max_usd_per_hour},
    )
    charges = KnownCharges(
        lambda since, until: [row for row in map(charged, desk.market.charges(since, until)) if row],
        options.since,
        time.time,
    )
    sources = Sources(
        happenings=down_when_refused(lambda: [happening(event) for event in tail.fresh()]),
        inventory=down_when_refused(lambda: [row for row in map(rented, all_known(desk.market.instances())) if row]),
        charges=down_when_refused(charges),
        unused=down_when_refused(partial(unused, Prometheus(options.prometheus))) if options.prometheus else None,
    )
    return FleetCollector(sources, terms, time.time)


def down_when_refused(ask: Callable[[], Answer]) -> Callable[[], Answer]:
    """Turn what store, market and Prometheus refuse into what the collector understands."""

    def asked() -> Answer:
        try:
            return ask()
        except (StoreError, VastError, PrometheusError) as error:
            raise SourceDown(str(error)) from error

    return asked


def unused(prometheus: Prometheus) -> dict[int, float]:
    """Return how long each instance was ready and unused. Raises PrometheusError."""
    found = prometheus.query(queries.unused_seconds())
    return {int(one.labels["instance_id"]): one.value for one in found if one.labels.get("instance_id", "").isdigit()}


def happening(event: Event) -> Happening:
    """Say an event of the ledger in the exporter's words."""
    return Happening(
        at=event.at,
        stack_id=event.stack_id,
        name=event.name,
        attempt=event.attempt,
        outcome=event.outcome.value,
        reason=event.reason.value if event.reason else None,
        phase=event.phase,
        seconds=event.seconds,
        usd=event.usd - event.image_usd,
        usd_per_hour=event.usd_per_hour,
        instance_id=event.instance_id,
        machine_id=event.machine_id,
        phases=event.phases,
    )


def rented(instance: Instance) -> Rented | None:
    """Say an instance in the exporter's words; None for one that is no fleet's."""
    mark = label.parse(instance.label)
    if mark is None:
        return None
    return Rented(
        instance_id=instance.id,
        stack_id=mark.stack_id,
        name=mark.name,
        status=instance.actual_status or "none",
        gpu=instance.gpu_name or "",
        machine_id=instance.machine_id or 0,
        location=instance.geolocation or "",
        usd_per_hour=instance.dph_total or 0.0,
        ends_at=instance.end_date,
    )


def charged(charge: Charge) -> Charged | None:
    """Say a charge in the exporter's words; None for what is no instance of a fleet's."""
    mark = label.parse(charge.metadata.label)
    if mark is None or charge.instance_id is None:
        return None
    usd: dict[str, float] = {}
    for item in charge.items:
        usd[item.type] = usd.get(item.type, 0.0) + item.amount
    return Charged(
        charge.instance_id, mark.stack_id, mark.name, charge.start, charge.end, usd or {"gpu": charge.amount}
    )


if __name__ == "__main__":
    sys.exit(main())
