"""Judges provisioning, latency and cost against their bounds. A verdict has its query, value and number of samples."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitoring import queries
from monitoring.prometheus import Prometheus

WINDOW = "1h"
PROVISIONING_SECONDS, LATENCY_SECONDS, USD_PER_HOUR = 180.0, 2.0, 0.5


@dataclass(frozen=True)
class Measure:
    """One number that should be under a bound. `count_of` names the samples that the query `count` counts."""

    name: str
    query: str
    bound: float
    form: str  # of a value, as str.format takes it
    count: str
    count_of: str

    def shown(self, value: float) -> str:
        """Return a value with its unit. A time below a second is in milliseconds, so that it never reads 0.00 s."""
        if self.form.endswith(" s") and 0 < value < 1:
            return f"{value * 1000:.3g} ms"
        return self.form.format(value)


@dataclass(frozen=True)
class Verdict:
    """One criterion, and each of its measures with value and number of samples."""

    name: str
    rows: Sequence[tuple[Measure, float | None, int]]

    @property
    def word(self) -> str:
        """`pass`, `fail` or `no data`."""
        if any(value is not None and value >= measure.bound for measure, value, _ in self.rows):
            return "fail"
        return "no data" if any(value is None or not count for _, value, count in self.rows) else "pass"


def criteria(window: str = WINDOW) -> dict[str, Sequence[Measure]]:
    """Return the measures of each criterion by its name."""
    provisioned = (queries.provisioned(), "provisioned instances")
    return {
        "provisioning": [
            Measure(f"p{share * 100:g}", queries.provisioning(share), PROVISIONING_SECONDS, "{:.1f} s", *provisioned)
            for share in (0.5, 0.95)
        ],
        "latency": [
            Measure(
                "p95",
                queries.latency(0.95, window, by=""),
                LATENCY_SECONDS,
                "{:.2f} s",
                queries.timed_requests(window),
                f"requests in {window}",
            )
        ],
        "cost": [
            Measure("dearest", queries.dearest(), USD_PER_HOUR, "${:.3f}/h", queries.rented(), "rented instances")
        ],
    }


def judge(prometheus: Prometheus, window: str = WINDOW) -> list[Verdict]:
    """Ask Prometheus for every measure. Raises PrometheusError."""
    return [
        Verdict(
            name,
            [
                (measure, prometheus.number(measure.query), round(prometheus.number(measure.count) or 0))
                for measure in measures
            ],
        )
        for name, measures in criteria(window).items()
    ]


def status(verdicts: Sequence[Verdict]) -> int:
    """Return the exit status: 0 all pass, 1 one fails, 2 none fails but one has no data."""
    words = {verdict.word for verdict in verdicts}
    return 1 if "fail" in words else 2 if "no data" in words else 0


def measured(verdict: Verdict) -> str:
    """Return a verdict's values, their bound and the number of samples as one line."""
    values = [
        f"{measure.name} {'unknown' if value is None else measure.shown(value)}" for measure, value, _ in verdict.rows
    ]
    measure, _, count = verdict.rows[0]
    bound = measure.shown(measure.bound)
    return f"{', '.join(values)} (under {bound}; {count} {measure.count_of})"


def lines(verdict: Verdict) -> list[str]:
    """Return the lines that the command prints: the word with the measured values, then each query."""
    first = f"{verdict.word:8} {verdict.name}: {measured(verdict)}"
    return [first, *(f"         {measure.name}: {measure.query}" for measure, _, _ in verdict.rows)]
