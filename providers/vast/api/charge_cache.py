"""All charges since a moment. Charges that cannot change any more are asked for once."""

from collections.abc import Callable, Sequence

from providers.vast.api.responses import Charge

FOREVER = 366 * 86_400.0  # seconds ahead of now, because the market's clock may be ahead of ours
SETTLED_SECONDS = 2 * 86_400.0  # a charge that ended so long before the newest one is final


class ChargeCache:
    """Satisfies `Sources.charges`. `ask` returns the charges between two moments (unix seconds), `now` is our clock."""

    def __init__(self, ask: Callable[[float, float], Sequence[Charge]], since: float, now: Callable[[], float]) -> None:
        self._ask, self._since, self._now = ask, since, now
        self._known: dict[tuple[str, float], Charge] = {}

    def __call__(self) -> Sequence[Charge]:
        """Return every charge since then. An error of `ask` passes through, and no known charge is lost."""
        ends = [charge.end for charge in self._known.values()]
        # The market may extend a contract's one row. That row was not settled, so the range still touches it.
        since = max(self._since, max(ends) - SETTLED_SECONDS) if ends else self._since
        for charge in self._ask(since, self._now() + FOREVER):
            self._known[charge.source, charge.start] = charge
        return list(self._known.values())
