"""Says what each fleet and model cost, what that bought, and what hosted APIs ask for the same. Pure.

An unknown figure is None: it is neither 0 nor infinite. Every $ of a rental is in exactly one part:

- failed: rentals that never served
- starting: until a rental served
- idle: it was ready, and its last request ended more than five minutes before
- used: it was ready otherwise
- unseen: it had served before, and was not ready then, or did not report
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from config.api_prices import ApiPrice
from monitoring.queries import LEAST_TOKENS
from monitoring.worth.rentals import Rental, Span

MONTH_HOURS = 730.0  # as markets price a month: 365 days in 12


@dataclass(frozen=True)
class Work:
    """What vLLM did for one fleet and model: answered requests, tokens read and tokens written."""

    requests: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0


@dataclass(frozen=True)
class Use:
    """The facts of a window that Prometheus has.

    `work` is by (fleet, model). `ready` and `unused` are seconds by instance id: it was ready, and its last request had ended
    more than five minutes before. `models` has, by instance id, the seconds in which it reported each model.
    """

    work: Mapping[tuple[str, str], Work] = field(default_factory=dict)
    ready: Mapping[int, float] = field(default_factory=dict)
    unused: Mapping[int, float] = field(default_factory=dict)
    models: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """The dollars paid, split by the instance's state meanwhile. The last three are None if Prometheus does not answer."""

    failed: float = 0.0
    starting: float = 0.0
    serving: float = 0.0
    idle: float | None = None
    used: float | None = None
    unseen: float | None = None

    @property
    def paid(self) -> float:
        """All of it."""
        return self.failed + self.starting + self.serving

    def share(self, usd: float | None) -> float | None:
        """Return a part's share of all that was paid, 0 to 1."""
        return None if usd is None or not self.paid else usd / self.paid

    @property
    def on_top(self) -> float | None:
        """The $ paid besides use, over the $ paid for use; None without use."""
        return None if not self.used else (self.paid - self.used) / self.used

    def __add__(self, other: "Parts") -> "Parts":
        """Add two rows; an unknown part makes the sum unknown."""
        return Parts(
            self.failed + other.failed,
            self.starting + other.starting,
            self.serving + other.serving,
            _sum(self.idle, other.idle),
            _sum(self.used, other.used),
            _sum(self.unseen, other.unseen),
        )


SILENT, TOLD = Parts(), Parts(idle=0.0, used=0.0, unseen=0.0)


@dataclass(frozen=True)
class Compared:
    """A hosted API beside a fleet. `usd`: its list price of the same tokens.

    `break_even`: tokens an hour, in the same mix, from which on one instance is cheaper. None if there were too few tokens.
    """

    name: str
    usd_per_million_in: float
    usd_per_million_out: float
    usd: float | None
    break_even: float | None


@dataclass(frozen=True)
class Worth:
    """One fleet and model over a window. Money is in $; `doubts` say why more may have been paid.

    `usd_per_hour` is the mean price of an instance that serves. `always_on` is the price of the largest
    number of instances that served at once, over the whole window. `starting_seconds` were paid before a rental served.
    """

    fleet: str
    model: str
    parts: Parts
    rentals: int
    starting_seconds: float
    served_hours: float
    usd_per_hour: float | None
    always_on: float | None
    work: Work | None
    compared: tuple[Compared, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def saved(self) -> float | None:
        """Share of `always_on` that renting on demand saved; negative if it cost more."""
        return 1 - self.parts.paid / self.always_on if self.always_on else None

    @property
    def usd_per_request(self) -> float | None:
        """$ for an answered request, over all that was paid."""
        return _per(self.parts.paid, self.work.requests if self.work else None)

    def usd_per_million(self, side: str = "both") -> float | None:
        """$ for a million tokens, over all that was paid: of `both` kinds together, of the `in` or of the `out` alone."""
        counted, every = _tokens(self.work, side), _tokens(self.work, "both")
        if counted is None or every is None or every < LEAST_TOKENS:
            return None
        return _per(self.parts.paid, counted / 1e6)

    @property
    def tokens_per_hour(self) -> float | None:
        """Tokens of both kinds in an hour in which one instance served."""
        counted = _tokens(self.work, "both")
        return None if counted is None or not self.served_hours else counted / self.served_hours


def worth(
    rentals: Sequence[Rental],
    use: Use | None,
    window: tuple[float, float],
    models: Mapping[str, str],
    prices: Mapping[str, Sequence[ApiPrice]],
) -> list[Worth]:
    """Return a row for each fleet and model with rentals or work in the window, sorted by name.

    `window`: its begin and end in unix seconds. `use` is None if Prometheus does not answer. `models` has the model that each
    fleet has in config now; `prices` has, by model, the list prices that it is compared with.
    """
    since, now = window
    paid = [one for one in rentals if one.rented < now and one.until > since]
    shares = _shares(paid, use, models)
    names = {(one.fleet, model) for one in paid for model in shares[one.instance_id]} | set(use.work if use else ())
    rows = []
    for fleet, model in sorted(names):
        own = [(one, shares[one.instance_id].get(model, 0.0)) for one in paid if one.fleet == fleet]
        rows.append(_row(fleet, model, [pair for pair in own if pair[1]], use, window, prices.get(model, ())))
    return rows


def together(rows: Sequence[Worth]) -> Worth:
    """Return one row for all: their cost together, and the cost if they had been always on."""
    hours = sum(row.served_hours for row in rows)
    known = [row.always_on for row in rows if row.always_on is not None]
    return Worth(
        fleet="",
        model="",
        parts=sum((row.parts for row in rows[1:]), rows[0].parts),
        rentals=sum(row.rentals for row in rows),
        starting_seconds=sum(row.starting_seconds for row in rows),
        served_hours=hours,
        usd_per_hour=sum((row.usd_per_hour or 0.0) * row.served_hours for row in rows) / hours if hours else None,
        always_on=sum(known) if known else None,
        work=None,
        doubts=tuple(doubt for row in rows for doubt in row.doubts),
    )


def _row(
    fleet: str,
    model: str,
    own: Sequence[tuple[Rental, float]],
    use: Use | None,
    window: tuple[float, float],
    prices: Sequence[ApiPrice],
) -> Worth:
    parts = SILENT if use is None else TOLD
    starting = served = weighted = 0.0
    for one, share in own:
        parts += _parts(one, share, use, window)
        after = one.after(*window)
        starting += one.before(*window).seconds * share if one.served is not None else 0.0
        served += after.seconds / 3600 * share
        weighted += after.usd * share
    work = None if use is None else use.work.get((fleet, model), Work())
    price = weighted / served if served else None
    return Worth(
        fleet=fleet,
        model=model,
        parts=parts,
        rentals=len(own),
        starting_seconds=starting,
        served_hours=served,
        usd_per_hour=price,
        always_on=_always_on(own, window),
        work=work,
        compared=tuple(_compared(one, work, price) for one in prices),
        doubts=tuple(f"{one.name} (instance {one.instance_id}): {one.doubt}" for one, _ in own if one.doubt),
    )


def _parts(one: Rental, share: float, use: Use | None, window: tuple[float, float]) -> Parts:
    before, after = one.before(*window), one.after(*window)
    if one.served is None:
        return (SILENT if use is None else TOLD) + replace(TOLD, failed=before.usd * share)
    if use is None:
        return Parts(starting=before.usd * share, serving=after.usd * share)
    idle, used, unseen = _seconds(one.instance_id, after, use)
    each = after.usd / after.seconds * share if after.seconds else 0.0
    return Parts(0.0, before.usd * share, after.usd * share, idle * each, used * each, unseen * each)


def _seconds(number: int, after: Span, use: Use) -> tuple[float, float, float]:
    """Part the seconds after it served into idle, used and unseen ones. Their sum is the span, whatever a host reports."""
    ready = min(use.ready.get(number, 0.0), after.seconds)
    idle = min(use.unused.get(number, 0.0), ready)
    return idle, ready - idle, after.seconds - ready


def _shares(paid: Sequence[Rental], use: Use | None, models: Mapping[str, str]) -> dict[int, dict[str, float]]:
    """Return the share of each rental that each model has, summing to 1: by the time for which the host reported it.

    A rental that reported none has the shares of its fleet, and if no host of it reported, the model that config names now.
    """
    models_of = use.models if use else {}
    of_fleet: dict[str, Counter[str]] = {}
    for one in paid:
        of_fleet.setdefault(one.fleet, Counter()).update(models_of.get(one.instance_id, {}))
    return {
        one.instance_id: _normed(models_of.get(one.instance_id) or of_fleet[one.fleet])
        or {models.get(one.fleet, ""): 1.0}
        for one in paid
    }


def _normed(seconds: Mapping[str, float]) -> dict[str, float]:
    total = sum(seconds.values())
    return {name: value / total for name, value in seconds.items() if value} if total else {}


def _always_on(own: Sequence[tuple[Rental, float]], window: tuple[float, float]) -> float | None:
    """Return $ of the window for the largest number that served at once, at their prices; None if none served."""
    since, now = window
    steps: list[tuple[float, float]] = []
    for one, share in own:
        if one.served is not None and one.after(since, now).seconds:
            usd = (one.usd_per_hour or 0.0) * share
            steps += [(max(one.served, since), usd), (min(one.until, now), -usd)]
    if not steps:
        return None
    # Of two steps at one moment the end comes first: a successor is not beside its predecessor.
    rates = accumulate(usd for _, usd in sorted(steps))
    return max(rates) * (now - since) / 3600


def _compared(price: ApiPrice, work: Work | None, usd_per_hour: float | None) -> Compared:
    tokens = _tokens(work, "both")
    known = work is not None and tokens is not None and tokens >= LEAST_TOKENS
    usd = price.usd(work.tokens_in, work.tokens_out) if work and known else None
    even = usd_per_hour / (usd / tokens) if usd and tokens and usd_per_hour else None
    return Compared(price.name, price.usd_per_million_in, price.usd_per_million_out, usd, even)


def _tokens(work: Work | None, side: str) -> float | None:
    if work is None:
        return None
    return {"in": work.tokens_in, "out": work.tokens_out, "both": work.tokens_in + work.tokens_out}[side]


def _per(usd: float, count: float | None) -> float | None:
    return usd / count if count else None


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
