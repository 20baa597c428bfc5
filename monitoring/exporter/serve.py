"""Serves a stack's metrics to Prometheus: joins ledger, inventory and charges, and reads them again and again."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TextIO, TypeVar

from prometheus_client import CollectorRegistry, start_http_server

from monitoring import queries
from monitoring.exporter.account import ExporterAccount
from monitoring.exporter.collector import FleetCollector, MetricTerms
from monitoring.exporter.market_time import MarketTime
from monitoring.exporter.sources import SourceDown, Sources
from monitoring.exporter.worth import Overheard, WorthCollector, WorthTerms
from monitoring.prometheus import Prometheus, PrometheusError
from monitoring.worth.prices import prices_of
from monitoring.worth.use import ask_use
from providers.ledger.bucket_ledger import READ_SECONDS
from providers.ledger.event import Event, Reason
from providers.ledger.tail import LedgerTail
from providers.store.client import connect
from providers.store.errors import StoreError
from providers.vast.api.charge_cache import ChargeCache
from providers.vast.api.errors import VastError
from providers.vast.api.instance import Instance, all_known

KEY = "GPU_FLEET_MARKET_KEY"  # the variable with a key of the market that the exporter uses instead of the stack's
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class ExporterError(Exception):
    """The exporter cannot start. The message is a sentence for the operator."""


@dataclass(frozen=True)
class ExporterOptions:
    """Where and how often. `prometheus`: URL of the Prometheus that hosts report to; `since`: unix seconds."""

    address: str = "127.0.0.1"
    port: int = 9101
    every: float = 15.0
    prometheus: str | None = None
    since: float = 0.0


def serve(account: ExporterAccount, options: ExporterOptions) -> None:
    """Serve until SIGTERM or SIGINT. Raises ExporterError if the port cannot be served."""
    registry = CollectorRegistry()
    collector, figures = make_collectors(account, options.prometheus, options.since)
    registry.register(collector)
    registry.register(figures)
    try:
        server, _thread = start_http_server(options.port, options.address, registry)
    except OSError as error:
        raise ExporterError(
            f"port {options.port} cannot be served ({error.strerror}); choose another with --port"
        ) from None
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    url = f"http://{options.address}:{server.server_port}/metrics"
    _log(f"{url}, every {options.every:g} s", sys.stdout)
    watch(lambda: {**collector.learn(), **figures.learn()}, ended, options.every)
    server.shutdown()


def watch(learn: Callable[[], Mapping[str, str]], ended: threading.Event, every: float) -> None:
    """Call `learn` every `every` seconds until `ended` is set. A trouble is reported when it comes and when it goes."""
    before: Mapping[str, str] = {}
    while True:
        troubles = learn()
        for source in troubles.keys() - before.keys():
            _log(f"{source} cannot be read: {troubles[source]}", sys.stderr)
        for source in before.keys() - troubles.keys():
            _log(f"{source} can be read again", sys.stderr)
        before = troubles
        if ended.wait(every):
            return


def _log(text: str, stream: TextIO) -> None:
    print(f"exporter: {text}", file=stream, flush=True)


def make_collectors(
    account: ExporterAccount, prometheus: str | None, since: float
) -> tuple[FleetCollector, WorthCollector]:
    """Join a stack's ledger with its account on the market; the second one learns after the first."""
    stack, market, store = account.stack, account.market, account.stack.store
    tail = LedgerTail(
        lambda: connect(store.endpoint, store.region, account.store_keys, 1, READ_SECONDS), store.bucket, market.clock
    )
    terms = MetricTerms(
        reasons=[reason.value for reason in Reason],
        ssh_timeout_seconds=stack.limits.connect_minutes * 60 / market.scale,
        abandoned_seconds=market.limits.abandoned_seconds,
        time=MarketTime(market.scale),
        day_usd=stack.budget.usd_per_day,
        month_usd=stack.budget.usd_per_month,
        ceilings={name: fleet.max_usd_per_hour for name, fleet in stack.fleets.items() if fleet.max_usd_per_hour},
    )
    events: Overheard[Sequence[Event]] = Overheard(raise_source_down(tail.fresh))
    inventory: Overheard[Sequence[Instance]] = Overheard(
        raise_source_down(lambda: all_known(market.client.instances()))
    )
    hosts = Prometheus(prometheus) if prometheus else None
    sources = Sources(
        events=events,
        inventory=inventory,
        charges=raise_source_down(ChargeCache(market.client.charges, since, time.time)),
        unused=raise_source_down(partial(unused_seconds, hosts)) if hosts else None,
    )
    bought = WorthTerms(
        {name: fleet.model for name, fleet in stack.fleets.items()}, partial(prices_of, stack), market.scale
    )
    use = raise_source_down(partial(ask_use, hosts)) if hosts else None
    return (
        FleetCollector(sources, terms, time.time),
        WorthCollector(events, inventory, use, bought, time.time),
    )


def raise_source_down(ask: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """Turn errors of store, market and Prometheus into SourceDown."""

    def asked(*words: Asked.args, **named: Asked.kwargs) -> Answer:
        try:
            return ask(*words, **named)
        except (StoreError, VastError, PrometheusError) as error:
            raise SourceDown(str(error)) from error

    return asked


def unused_seconds(prometheus: Prometheus) -> dict[int, float]:
    """Return the seconds in which each instance was ready and unused, by its id. Raises PrometheusError."""
    found = prometheus.query(queries.unused_seconds())
    return {int(one.labels["instance_id"]): one.value for one in found if one.labels.get("instance_id", "").isdigit()}
