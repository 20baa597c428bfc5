"""All charges since a moment, without asking for those again that cannot change any more."""

from collections.abc import Callable, Sequence

from monitoring.exporter.sources import Charged

FOREVER = 366 * 86_400.0  # ahead of now: a market's clock may be
SETTLED_SECONDS = 2 * 86_400.0  # a charge that ended so long before the newest one is final


class ChargeCache:
    """Satisfies `Sources.charges`. `ask` returns what was charged between two moments (unix seconds), `now` is ours."""

    def __init__(
        self, ask: Callable[[float, float], Sequence[Charged]], since: float, now: Callable[[], float]
    ) -> None:
        self._ask, self._since, self._now = ask, since, now
        self._known: dict[tuple[int, float], Charged] = {}

    def __call__(self) -> Sequence[Charged]:
        """Return everything that was charged since then. Raises SourceDown, and then has lost nothing."""
        ends = [charge.end for charge in self._known.values()]
        # Where a contract's one row goes on, the row was not settled, so the range still touches it.
        since = max(self._since, max(ends) - SETTLED_SECONDS) if ends else self._since
        for charge in self._ask(since, self._now() + FOREVER):
            self._known[charge.instance_id, charge.start] = charge
        return list(self._known.values())
