"""Makes the fleet's metrics from the last read of each source.

If a source fails, its last values stay, and a gauge shows when it was last read.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitoring.exporter import money
from monitoring.exporter.attempts import Attempt, Attempts, Wait, failures, last_failures, orphaned, provisioning
from monitoring.exporter.market_time import MarketTime
from monitoring.exporter.own_spend import OwnSpend
from monitoring.exporter.sources import PHASES, SourceDown, Sources, label_of
from monitoring.instance_names import fleet_of
from monitoring.metric_families import Samples, counters, gauges
from providers.vast.api.instance import Instance
from providers.vast.api.responses import Charge
from providers.vast.api.spend import spent

BUCKETS = (1, 2, 5, 10, 15, 30, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600)  # seconds
ALL = "all"  # a row beside the phases: from the first attempt to an answered completion
WORST_MACHINES = 50
LABELS = ("instance_id", "name", "fleet", "status", "gpu_name", "machine_id", "location")
SOURCES = ("ledger", "inventory", "charges")
UNUSED = "prometheus"  # a fourth source, if hosts report


@dataclass(frozen=True)
class MetricTerms:
    """Settings that stay the same while the exporter runs. Budgets are in $, 0 for none.

    `reasons` is the ledger's closed list.
    """

    reasons: Sequence[str]
    ssh_timeout_seconds: float
    abandoned_seconds: float = 2 * 3600.0  # no create waits longer for an instance that boots
    time: MarketTime = field(default_factory=MarketTime)
    day_usd: float = 0.0
    month_usd: float = 0.0
    ceilings: Mapping[str, float] = field(default_factory=dict)  # $/h by fleet


class FleetCollector(Collector):
    """`learn` reads the sources; `collect` never does, so that a scrape waits for none. Thread-safe.

    `now` returns unix seconds.
    """

    def __init__(self, sources: Sources, terms: MetricTerms, now: Callable[[], float]) -> None:
        self._sources, self._terms, self._now = sources, terms, now
        self._lock = threading.Lock()
        self._attempts = Attempts()
        self._inventory: Sequence[Instance] = ()
        self._charges: Sequence[Charge] = ()
        self._own = OwnSpend(terms.time.scale)
        self._unused: dict[int, float] = {}
        self._steps: dict[str, Callable[[], None]] = dict(
            zip(SOURCES, (self._learn_ledger, self._learn_inventory, self._learn_charges), strict=True)
        )
        if sources.unused:
            self._steps[UNUSED] = partial(self._learn_unused, sources.unused)
        self._learnt = dict.fromkeys(self._steps, 0.0)

    def learn(self) -> dict[str, str]:
        """Read each source once. Return the error message by source, of sources that failed."""
        troubles = {}
        for source, step in self._steps.items():
            try:
                step()
            except SourceDown as down:
                troubles[source] = str(down)
            else:
                self._learnt[source] = self._now()
        return troubles

    def collect(self) -> Iterable[Metric]:
        """Return every family. A source that was never read has no values; it does not show zeros."""
        with self._lock:
            return list(self._families())

    def _families(self) -> Iterator[Metric]:
        attempts, own = self._attempts.all(), self._attempts.stack_ids()
        yield gauges(
            "vast_exporter_last_success_timestamp_seconds",
            "When a source was last read, 0 for never.",
            ("source",),
            {(source,): at for source, at in self._learnt.items()},
        )
        yield gauges(
            "vast_instance_ssh_timeout_seconds",
            "How long an instance may take to let us in over SSH.",
            (),
            {(): self._terms.ssh_timeout_seconds},
        )
        budgets = {("day",): self._terms.day_usd, ("month",): self._terms.month_usd}
        yield gauges("vast_budget_usd", "Budget in $; absent if none is set.", ("period",), _positive(budgets))
        yield gauges(
            "vast_fleet_price_ceiling_usd_per_hour",
            "Highest price of an instance of a fleet, in $/h.",
            ("fleet",),
            {(fleet,): usd for fleet, usd in self._terms.ceilings.items()},
        )
        yield self._terms.time.metric()
        if not self._learnt["ledger"]:
            return
        waits = provisioning(attempts)
        yield _durations([(ALL, [wait.seconds for wait in waits]), *_by_phase(attempts)])
        yield from _latest(waits)
        yield counters(
            "vast_instance_provision_failures",
            "Failed attempts, by the phase in which they failed.",
            ("phase", "reason"),
            dict.fromkeys(product(PHASES, self._terms.reasons), 0) | failures(attempts),
        )
        yield gauges(
            "vast_instance_bootstrap_failure_reason",
            "1 for the reason why an instance's latest attempt failed.",
            ("name", "reason"),
            dict.fromkeys(last_failures(attempts).items(), 1.0),
        )
        yield _scores(attempts)
        # Other stacks may use the same account. Our rows carry the id of a stack that wrote into the ledger.
        inventory = [(one, mark.name) for one in self._inventory if (mark := label_of(one)) and mark.stack_id in own]
        charges = [one for one in self._charges if _stack_id(one) in own and one.instance_id is not None]
        if self._learnt["inventory"]:
            known = dict.fromkeys(((stack_id,) for stack_id in own), 1.0)
            yield gauges("vast_exporter_stack_info", "1 for each stack whose rentals are known.", ("stack_id",), known)
            yield from _inventory(inventory)
            yield _ends(inventory, self._now(), self._terms.time)
            rented = [instance for instance, _name in inventory]
            lost = {one.id for one in orphaned(rented, attempts, self._now(), self._terms.abandoned_seconds)}
            orphans = {_identity(*one)[:3]: 1.0 for one in inventory if one[0].id in lost}
            text = "1 for each rented instance for which no event accounts."
            yield gauges("vast_instance_orphaned", text, LABELS[:3], orphans)
            yield self._own.metric(rented, self._now())
        if self._learnt["charges"]:
            unused = self._unused if self._learnt.get(UNUSED) else None
            wasted = money.waste(charges, attempts, unused)
            yield from _money(charges, wasted, self._now())
        if all(self._learnt[source] for source in SOURCES):
            yield from _drift(money.drift(charges, attempts, rented, self._now(), self._terms.time))

    def _learn_ledger(self) -> None:
        fresh = self._sources.events()
        with self._lock:
            self._attempts.add(fresh)
            self._own.add(fresh)

    def _learn_inventory(self) -> None:
        found = self._sources.inventory()
        with self._lock:
            self._inventory = found

    def _learn_charges(self) -> None:
        found = self._sources.charges()
        with self._lock:
            self._charges = found

    def _learn_unused(self, ask: Callable[[], Mapping[int, float]]) -> None:
        found = ask()
        with self._lock:
            # Prometheus drops old samples and extrapolates. The higher value stays, so that the counter never falls.
            self._unused |= {number: max(found[number], self._unused.get(number, 0.0)) for number in found}


Rented = tuple[Instance, str]  # an instance and the name in its label


def _inventory(inventory: Sequence[Rented]) -> Iterator[Metric]:
    yield gauges(
        "vast_instance_info",
        "1 for each instance that is rented.",
        LABELS,
        {_identity(*one): 1.0 for one in inventory},
    )
    yield gauges(
        "vast_instance_cost_per_hour",
        "Price of an instance while it runs, in $/h.",
        LABELS[:3],
        {_identity(*one)[:3]: one[0].dph_total or 0.0 for one in inventory},
    )


def _ends(inventory: Sequence[Rented], now: float, time: MarketTime) -> Metric:
    ends = {
        _identity(one, name)[:3]: time.shown_end(now, one.end_date)
        for one, name in inventory
        if one.end_date is not None
    }
    name = "vast_instance_contract_end_timestamp_seconds"
    return gauges(name, "When the contract ends and the market stops the instance.", LABELS[:3], ends)


def _money(charges: Sequence[Charge], wasted: dict[str, float], now: float) -> Iterator[Metric]:
    yield counters("vast_cost_usd", "Charges of the market, in $.", ("kind",), _keyed(money.cost(charges)))
    yield counters("vast_waste_usd", "Charges for time in which no user was served, in $.", ("kind",), _keyed(wasted))
    periods = _keyed(spent(charges, now))
    yield gauges("vast_spend_usd", "Charges of this UTC day and month, in $.", ("period",), periods)


def _drift(found: money.Drift) -> Iterator[Metric]:
    compared = {(): float(found.instances)}
    yield gauges("vast_cost_drift_instances", "Instances that the drift compares.", (), compared)
    ratio = {} if found.ratio is None else {(): found.ratio}
    yield gauges("vast_cost_drift_ratio", "Charges over our own count of the same instances, less 1.", (), ratio)


def _stack_id(row: Charge) -> str:
    mark = label_of(row)
    return mark.stack_id if mark else ""


def _identity(instance: Instance, name: str) -> tuple[str, ...]:
    return (
        str(instance.id),
        name,
        fleet_of(name),
        instance.actual_status or "none",
        instance.gpu_name or "",
        str(instance.machine_id or 0),
        shown_place(instance.geolocation or ""),
    )


def shown_place(geolocation: str) -> str:
    """Return a place as people read it: the market writes `, US` if it knows only the country.

    >>> shown_place(", US"), shown_place("Sweden, SE")
    ('US', 'Sweden, SE')
    """
    return ", ".join(part.strip() for part in geolocation.split(",") if part.strip())


def _latest(waits: Sequence[Wait]) -> Iterator[Metric]:
    last = {(wait.name, fleet_of(wait.name)): wait for wait in waits}
    labels = ("name", "fleet")
    yield gauges(
        "vast_instance_provisioning_last_seconds",
        "Duration of an instance's latest provisioning, with the failed attempts right before it.",
        labels,
        {key: wait.seconds for key, wait in last.items()},
    )
    yield gauges(
        "vast_instance_served_timestamp_seconds",
        "When an instance's latest provisioning ended with an answered completion.",
        labels,
        {key: wait.served for key, wait in last.items()},
    )
    yield gauges(
        "vast_instance_phase_seconds",
        "Duration of each phase of an instance's latest provisioning.",
        (*labels, "phase"),
        {(*key, phase): seconds for key, wait in last.items() for phase, seconds in wait.phases.items()},
    )


def _by_phase(attempts: Sequence[Attempt]) -> list[tuple[str, list[float]]]:
    seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for attempt in attempts:
        for phase, took in attempt.phase_seconds().items():
            seconds[phase].append(took)
    return list(seconds.items())


def _durations(rows: list[tuple[str, list[float]]]) -> Metric:
    family = HistogramMetricFamily(
        "vast_instance_provisioning_duration_seconds",
        f"Seconds by phase; {ALL}: from the first attempt to an answered completion.",
        labels=["phase"],
    )
    for phase, values in rows:
        edges = [(str(float(edge)), float(sum(value <= edge for value in values))) for edge in BUCKETS]
        family.add_metric([phase], [*edges, ("+Inf", float(len(values)))], sum(values))
    return family


def _scores(attempts: Sequence[Attempt]) -> Metric:
    served = Counter(one.machine_id for one in attempts if one.served is not None and one.machine_id is not None)
    failed = Counter(one.machine_id for one in attempts if one.failed and one.machine_id is not None)
    scores = {machine: served[machine] / (served[machine] + failed[machine]) for machine in served | failed}
    worst = sorted(scores, key=lambda machine: (scores[machine], -failed[machine], machine))[:WORST_MACHINES]
    values = {(str(machine),): scores[machine] for machine in worst}
    return gauges("vast_host_score", "Share of our attempts on a machine that served, 0 to 1.", ("machine_id",), values)


def _keyed(values: dict[str, float]) -> Samples:
    return {(kind,): value for kind, value in values.items()}


def _positive(values: Samples) -> Samples:
    return {key: value for key, value in values.items() if value > 0}
