"""The fleet's metrics out of what was last learnt. A source that fails leaves its last values, and says since when."""

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
from monitoring.exporter.sources import PHASES, Charged, Rented, SourceDown, Sources
from monitoring.instance_names import fleet_of
from monitoring.metric_families import Samples, counters, gauges

BUCKETS = (1, 2, 5, 10, 15, 30, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600)  # seconds
ALL = "all"  # beside the phases: from the first attempt to an answered completion
WORST_MACHINES = 50
LABELS = ("instance_id", "name", "fleet", "status", "gpu_name", "machine_id", "location")
SOURCES = ("ledger", "inventory", "charges")
UNUSED = "prometheus"  # the fourth, where hosts report


@dataclass(frozen=True)
class Terms:
    """What does not change while it runs. Budgets in $, 0 for none; `reasons` is the ledger's closed list."""

    reasons: Sequence[str]
    ssh_timeout_seconds: float
    abandoned_seconds: float = 2 * 3600.0  # an instance that boots for longer is waited for by nobody
    time: MarketTime = field(default_factory=MarketTime)
    day_usd: float = 0.0
    month_usd: float = 0.0
    ceilings: Mapping[str, float] = field(default_factory=dict)  # $/h by fleet


class FleetCollector(Collector):
    """`learn` asks the sources, `collect` never does: a scrape waits for nobody. `now` returns unix seconds. Thread-safe."""

    def __init__(self, sources: Sources, terms: Terms, now: Callable[[], float]) -> None:
        self._sources, self._terms, self._now = sources, terms, now
        self._lock = threading.Lock()
        self._attempts = Attempts()
        self._inventory: Sequence[Rented] = ()
        self._charges: Sequence[Charged] = ()
        self._unused: dict[int, float] = {}
        self._steps: dict[str, Callable[[], None]] = dict(
            zip(SOURCES, (self._learn_ledger, self._learn_inventory, self._learn_charges), strict=True)
        )
        if sources.unused:
            self._steps[UNUSED] = partial(self._learn_unused, sources.unused)
        self._learnt = dict.fromkeys(self._steps, 0.0)

    def learn(self) -> dict[str, str]:
        """Ask each source once, and return what went wrong by source."""
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
        """Return every family; a source that was never read has no values, not noughts."""
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
        yield gauges("vast_budget_usd", "Budget in $; absent where none is set.", ("period",), _positive(budgets))
        yield gauges(
            "vast_fleet_price_ceiling_usd_per_hour",
            "What an instance of a fleet may cost, in $/h.",
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
            "Attempts that failed, by the phase in which they did.",
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
        # The account may be another stack's, too: ours is what carries the id of a stack that wrote into the ledger.
        inventory = [rented for rented in self._inventory if rented.stack_id in own]
        charges = [charge for charge in self._charges if charge.stack_id in own]
        if self._learnt["inventory"]:
            known = dict.fromkeys(((stack_id,) for stack_id in own), 1.0)
            yield gauges("vast_exporter_stack_info", "1 for each stack whose rentals are known.", ("stack_id",), known)
            yield from _inventory(inventory)
            yield _ends(inventory, self._now(), self._terms.time)
            lost = orphaned(inventory, attempts, self._now(), self._terms.abandoned_seconds)
            orphans = {_identity(rented)[:3]: 1.0 for rented in lost}
            yield gauges("vast_instance_orphaned", "1 for what no event accounts for.", LABELS[:3], orphans)
        if self._learnt["charges"]:
            unused = self._unused if self._learnt.get(UNUSED) else None
            wasted = money.waste(charges, attempts, unused)
            yield from _money(charges, wasted, self._now())
        if all(self._learnt[source] for source in SOURCES):
            yield from _drift(money.drift(charges, attempts, inventory, self._now(), self._terms.time))

    def _learn_ledger(self) -> None:
        fresh = self._sources.happenings()
        with self._lock:
            self._attempts.add(fresh)

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
            # Prometheus forgets, and extrapolates: what was known stays, so that the counter never falls.
            self._unused |= {number: max(found[number], self._unused.get(number, 0.0)) for number in found}


def _inventory(inventory: Sequence[Rented]) -> Iterator[Metric]:
    yield gauges(
        "vast_instance_info",
        "1 for each instance that is rented.",
        LABELS,
        {_identity(rented): 1.0 for rented in inventory},
    )
    yield gauges(
        "vast_instance_cost_per_hour",
        "What an instance costs while it runs, in $/h.",
        LABELS[:3],
        {_identity(rented)[:3]: rented.usd_per_hour for rented in inventory},
    )


def _ends(inventory: Sequence[Rented], now: float, time: MarketTime) -> Metric:
    ends = {_identity(one)[:3]: time.shown_end(now, one.ends_at) for one in inventory if one.ends_at is not None}
    name = "vast_instance_contract_end_timestamp_seconds"
    return gauges(name, "When the contract ends and the market stops the instance.", LABELS[:3], ends)


def _money(charges: Sequence[Charged], wasted: dict[str, float], now: float) -> Iterator[Metric]:
    yield counters("vast_cost_usd", "What the market charged, in $.", ("kind",), _keyed(money.cost(charges)))
    yield counters("vast_waste_usd", "What of it served nobody, in $.", ("kind",), _keyed(wasted))
    spent = _keyed(money.spent(charges, now))
    yield gauges("vast_spend_usd", "What was spent in this UTC day and month, in $.", ("period",), spent)


def _drift(found: money.Drift) -> Iterator[Metric]:
    compared = {(): float(found.instances)}
    yield gauges("vast_cost_drift_instances", "Instances whose cost we counted, too.", (), compared)
    ratio = {} if found.ratio is None else {(): found.ratio}
    yield gauges("vast_cost_drift_ratio", "Charges over our own count of the same instances, less 1.", (), ratio)


def _identity(rented: Rented) -> tuple[str, ...]:
    return (
        str(rented.instance_id),
        rented.name,
        fleet_of(rented.name),
        rented.status,
        rented.gpu,
        str(rented.machine_id),
        rented.location,
    )


def _latest(waits: Sequence[Wait]) -> Iterator[Metric]:
    last = {(wait.name, fleet_of(wait.name)): wait for wait in waits}
    labels = ("name", "fleet")
    yield gauges(
        "vast_instance_provisioning_last_seconds",
        "How long an instance's latest provisioning took, failed attempts right before it included.",
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
        "How long each phase of an instance's latest provisioning took.",
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
