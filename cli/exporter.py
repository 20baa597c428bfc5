"""`gpu-fleet exporter`: the fleet's money, failures and times for Prometheus.

It reads the ledger in the stack's bucket, and the account's instances and charges, again and again. A container calls it
as `python -m monitoring.exporter`.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
from prometheus_client import CollectorRegistry, start_http_server

from cli.command import command, stack_option
from cli.context import CommandContext, context_of_file, open_selected, read_config, store_keys
from cli.errors import CommandError
from config.messages import ConfigError
from monitoring import queries
from monitoring.exporter.charge_cache import ChargeCache
from monitoring.exporter.collector import FleetCollector, Terms
from monitoring.exporter.market_time import MarketTime
from monitoring.exporter.sources import Charged, Happening, Rented, SourceDown, Sources
from monitoring.prometheus import Prometheus, PrometheusError
from providers.ledger.bucket_ledger import READ_SECONDS
from providers.ledger.event import Event, Reason
from providers.ledger.tail import LedgerTail
from providers.pulumi_state import BackendError
from providers.store.client import connect
from providers.store.errors import StoreError
from providers.vast.api import label
from providers.vast.api.errors import VastError
from providers.vast.api.instance import Instance, all_known
from providers.vast.api.responses import Charge

KEY = "GPU_FLEET_MARKET_KEY"

Answer = TypeVar("Answer")


@command("exporter", BackendError, ConfigError)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A stack's config file: works without Pulumi, as in a container.",
)
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option("--port", default=9101, show_default=True, help="The port to serve on.")
@click.option("--every", default=15.0, show_default=True, help="Seconds between two looks.")
@click.option("--prometheus", metavar="URL", help="Where hosts report, to tell what of the bill was idle.")
@click.option("--since", default=0.0, help="Unix seconds from which on charges count; without it, all count.")
@stack_option
def exporter(
    config: Path | None,
    address: str,
    port: int,
    every: float,
    prometheus: str | None,
    since: float,
    stack: str | None,
) -> None:
    """Serve the fleet's money, failures and times to Prometheus, until a signal.

    GPU_FLEET_MARKET_KEY is a key of the market that may read instances and billing; without it, the stack's own is used.
    With --config, STORE_ACCESS_KEY and STORE_SECRET_KEY are the store's keys if the file has none in plain.
    """
    if config and stack:
        raise click.UsageError("--config and --stack exclude each other.")
    own_key = os.environ.get(KEY)
    context = context_of_file(config, os.environ, own_key) if config else open_selected(stack, own_key)
    registry = CollectorRegistry()
    collector = collector_of(context, prometheus, since)
    registry.register(collector)
    try:
        server, _thread = start_http_server(port, address, registry)
    except OSError as error:
        raise CommandError(f"port {port} cannot be served ({error.strerror}); choose another with --port") from None
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    print(f"exporter: http://{address}:{server.server_port}/metrics, every {every:g} s", flush=True)
    watch(collector.learn, ended, every)
    server.shutdown()


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


def collector_of(context: CommandContext, prometheus: str | None, since: float) -> FleetCollector:
    """Join a stack's ledger with its account. Raises ConfigError."""
    stack = read_config(context, None)
    store = stack.store
    keys = store_keys(context)
    tail = LedgerTail(lambda: connect(store.endpoint, store.region, keys, 1, READ_SECONDS), store.bucket, context.clock)
    terms = Terms(
        reasons=[reason.value for reason in Reason],
        ssh_timeout_seconds=stack.limits.connect_minutes * 60 / context.scale,
        abandoned_seconds=context.limits.abandoned_seconds,
        time=MarketTime(context.scale),
        day_usd=stack.budget.usd_per_day,
        month_usd=stack.budget.usd_per_month,
        ceilings={name: fleet.max_usd_per_hour for name, fleet in stack.fleets.items() if fleet.max_usd_per_hour},
    )
    charges = ChargeCache(
        lambda first, until: [row for row in map(charged, context.market.charges(first, until)) if row],
        since,
        time.time,
    )
    sources = Sources(
        happenings=down_when_refused(lambda: [happening(event) for event in tail.fresh()]),
        inventory=down_when_refused(lambda: [row for row in map(rented, all_known(context.market.instances())) if row]),
        charges=down_when_refused(charges),
        unused=down_when_refused(partial(unused, Prometheus(prometheus))) if prometheus else None,
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
